"""The JSON body of a call that changes something, read in bounded memory."""

from typing import Any

import msgspec
from fastapi import Request

from runtime.http_errors import ApiError

MAX_BODY_BYTES = 131_072
"""Twice the filters of an export. As many connections as there may be can hold that much each."""


async def json_body(request: Request) -> Any:
    """The body's value, with integers of any size exact; of an empty body an empty object.

    ApiError where the body is too large, or no JSON.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(f"the body must not be larger than {MAX_BODY_BYTES} bytes", status=413)
    try:
        return msgspec.json.decode(body or b"{}")
    except ValueError as error:
        raise ApiError(f"the body must be JSON: {error}") from None
    except RecursionError:
        raise ApiError("the body is nested too deep") from None

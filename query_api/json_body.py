"""The JSON body of a call that changes something, read in bounded memory."""

from typing import Any

import orjson
from fastapi import Request

from runtime.http_errors import ApiError

MAX_BODY_BYTES = 1_000_000


async def json_body(request: Request) -> Any:
    """The body's value, an empty object where it is empty. ApiError where it is too large or no JSON."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(f"the body must not be larger than {MAX_BODY_BYTES} bytes", status=413)
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ApiError(f"the body must be JSON: {error}") from None

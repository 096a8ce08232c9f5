"""The one error of the HTTP API: the exception that any part of a program raises, and its translation to HTTP.

Its body carries the sentence where each of Portkey's clients looks for it: `error.message` (Python), `message` (Node)
and `data.message` (its platform).
"""

from collections.abc import Sequence
from typing import Any, Literal

import orjson
from starlette.responses import Response
from typing_extensions import TypedDict

RETRY_AFTER_S = 1
"""When to try again after an engine did not answer."""

_CODES = {401: "AB05", 403: "AB03", 404: "AB02", 409: "AB07", 429: "AB06"}


class ApiError(Exception):
    """A request that is not answered with success: one sentence for the caller, the field at fault, and HTTP's part.

    `reason` is one word for logs and metrics, where the status and the field do not say it.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        status: int = 400,
        headers: Sequence[tuple[bytes, bytes]] = (),
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.headers = headers
        self.reason = reason


class ErrorTold(TypedDict):
    """What is wrong, its code, and the field at fault."""

    message: str
    code: str
    param: str | None


class ErrorData(TypedDict):
    """What is wrong, as Portkey's platform tells it."""

    message: str
    errorCode: str


class Failure(TypedDict):
    """A refusal: nothing was accepted or told, unless a 503 says that its outcome is not known."""

    status: Literal["failure"]
    success: Literal[False]
    message: str
    error: ErrorTold
    data: ErrorData


def error_code(status: int) -> str:
    """The code that Portkey's platform uses for such a status."""
    return _CODES.get(status, "AB04" if status >= 500 else "AB01")


def error_content(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """The error body as data."""
    code = error_code(status)
    return {
        "status": "failure",
        "success": False,
        "message": message,
        "error": {"message": message, "code": code, "param": param},
        "data": {"message": message, "errorCode": code},
    }


def error_body(error: ApiError) -> bytes:
    """The error body as JSON."""
    return orjson.dumps(error_content(error.status, error.message, error.param))


def error_response(error: ApiError) -> Response:
    """The whole answer."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in error.headers}
    return Response(error_body(error), error.status, headers, "application/json")


def retry_after(seconds: int = RETRY_AFTER_S) -> list[tuple[bytes, bytes]]:
    """The headers of an error that asks the caller to wait this long."""
    return [(b"retry-after", b"%d" % seconds)]

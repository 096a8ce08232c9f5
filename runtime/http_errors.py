"""The one error body of the HTTP API.

It carries the sentence where each of Portkey's clients looks for it: `error.message` (Python), `message` (Node) and
`data.message` (its platform).
"""

from typing import Any, Literal

import orjson
from typing_extensions import TypedDict


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


_CODES = {401: "AB05", 403: "AB03", 404: "AB02", 409: "AB07", 429: "AB06"}


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


def error_body(status: int, message: str, param: str | None = None) -> bytes:
    """The error body as JSON."""
    return orjson.dumps(error_content(status, message, param))

"""The error of the HTTP API: the exception that all parts of the programs raise, and the body that it becomes.

The body has the message in the three places where Portkey's clients look for it: `error.message` (Python), `message`
(Node) and `data.message` (its platform).
"""

from collections.abc import Sequence
from typing import Any

import msgspec

RETRY_AFTER_S = 1
"""Seconds after which a caller should try again when an engine did not answer."""

_CODES = {401: "AB05", 403: "AB03", 404: "AB02", 409: "AB07", 429: "AB06"}


class ApiError(Exception):
    """A request that fails: a sentence for the caller, the parameter or field at fault, HTTP status and headers.

    `reason` is one word for logs and metrics, where status and parameter do not tell it.
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


def error_code(status: int) -> str:
    """The code that Portkey's platform uses for this HTTP status."""
    return _CODES.get(status, "AB04" if status >= 500 else "AB01")


def error_content(status: int, message: str, param: str | None = None) -> dict[str, Any]:
    """The body of an error, as data."""
    code = error_code(status)
    return {
        "status": "failure",
        "success": False,
        "message": message,
        "error": {"message": message, "code": code, "param": param},
        "data": {"message": message, "errorCode": code},
    }


def error_body(error: ApiError) -> bytes:
    """The body of an error, as JSON."""
    return msgspec.json.encode(error_content(error.status, error.message, error.param))


def retry_after(seconds: int = RETRY_AFTER_S) -> list[tuple[bytes, bytes]]:
    """The headers that ask the caller to wait this long."""
    return [(b"retry-after", b"%d" % seconds)]

"""What the edge refuses, and the one error body it says so in.

The body carries the sentence where each of Portkey's clients looks for it: `error.message` (Python), `message`
(Node) and `data.message` (its platform). Which header goes with which status is left to the endpoints.
"""

from collections.abc import Sequence
from typing import Any, Self

import orjson

_CODES = {401: "AB05", 403: "AB03", 404: "AB02", 409: "AB07", 429: "AB06"}


class RefusedError(Exception):
    """A call that is not accepted: its HTTP status, one sentence, and the field at fault where there is one."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status

    def in_item(self, index: int) -> Self:
        """The same refusal, of one item of a bulk call."""
        inside = "" if self.param is None else f".{self.param}"
        return type(self)(f"item {index}: {self.message}", f"[{index}]{inside}", self.status)


class UnavailableError(Exception):
    """Kafka cannot take or acknowledge events now.

    `outcome_unknown` tells whether events of this call may have reached Kafka all the same: then a blind retry
    could store them twice.
    """

    def __init__(self, reason: str, outcome_unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome_unknown = outcome_unknown


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


def field_path(parts: Sequence[str | int]) -> str:
    """A field's place as clients write it: `metadata.tags[2].name`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path

"""What the edge refuses. `runtime.http_errors` words a refusal as HTTP; which header goes with which status is left to
the endpoints.
"""

from collections.abc import Sequence
from typing import Self

_MOST_NAME_CHARS = 100


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


class RateLimitedError(RefusedError):
    """A call too many: to be repeated after so many seconds, and told by these headers."""

    def __init__(self, message: str, wait_s: int, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(message, status=429)
        self.headers = [(b"retry-after", b"%d" % wait_s), *headers]


class UnavailableError(Exception):
    """Kafka cannot take or acknowledge events now.

    `outcome_unknown` tells whether events of this call may have reached Kafka all the same: then a blind retry
    could store them twice.
    """

    def __init__(self, reason: str, outcome_unknown: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.outcome_unknown = outcome_unknown


def field_path(parts: Sequence[str | int]) -> str:
    """A field's place as clients write it, `metadata.tags[2].name`; long names are cut."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            name = part if len(part) <= _MOST_NAME_CHARS else f"{part[: _MOST_NAME_CHARS - 1]}…"
            path += f".{name}" if path else name
    return path

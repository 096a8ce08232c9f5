"""A bound on what the items of one call share, because each of them is stored with all of it. Pure.

Spans share the attributes of their resource, and the logs of a bulk call the metadata of its headers. Without a bound,
a call of a megabyte would be stored as gigabytes.
"""

from typing import Any

from runtime.http_errors import ApiError

MOST_BYTES = 64_000_000
_OF_A_MEMBER = 32
"""What a name or a value costs beside its text."""


class SharedRoom:
    """How much of shared data the items of one call may still be stored with."""

    def __init__(self) -> None:
        self._left = MOST_BYTES

    def take(self, size: int) -> None:
        """Count an item that is stored with so much of it. ApiError where that is too much."""
        if size > self._left:
            raise ApiError(
                f"what the items of a call share counts with each of them, and may have {MOST_BYTES:,} bytes in all:"
                " send fewer items at a time, or share less",
                "metadata",
                413,
            )
        self._left -= size


def size_of(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, str):
        return _OF_A_MEMBER + len(value)
    if isinstance(value, dict):
        return sum(size_of(name) + size_of(held) for name, held in value.items())
    if isinstance(value, list):
        return _OF_A_MEMBER + sum(map(size_of, value))
    return _OF_A_MEMBER

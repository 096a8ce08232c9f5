"""How much the files that are being written may still take: asked before each piece of each of them."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from query_api.exports.attempt import Attempt
from query_api.exports.files import disk
from query_api.exports.limits import Limits
from query_api.exports.quota import Disk, NoRoomError, no_room, no_room_for_workspace

_MEASURED_EVERY_BYTES = 16 << 20


class Room:
    """The disk and the files on it, measured when a file begins and after so many bytes that are written here.

    What other processes write is known from the last measure, and of the workspace from what they reported last.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder, self._limits = folder, limits
        self._measured = Disk(0, 0)
        self._written = _MEASURED_EVERY_BYTES
        self._attempts: set[Attempt] = set()

    def enter(self, attempt: Attempt) -> None:
        """Know of an attempt that writes here."""
        self._attempts.add(attempt)
        self._written = _MEASURED_EVERY_BYTES

    def leave(self, attempt: Attempt) -> None:
        """It does not write any more."""
        self._attempts.discard(attempt)

    async def take(self, attempt: Attempt, more: int) -> None:
        """Let an attempt write so many bytes more; NoRoomError where there is no room for them."""
        if self._written >= _MEASURED_EVERY_BYTES:
            self._measured, self._written = await asyncio.to_thread(disk, self._folder), 0
        self._written += more
        left = Disk(self._measured.used + self._written, self._measured.free - self._written)
        sizes = [*self._sizes(attempt).values(), more]
        if reason := no_room(self._limits, left) or no_room_for_workspace(self._limits, sizes):
            raise NoRoomError(reason)

    def _sizes(self, attempt: Attempt) -> Mapping[str, int]:
        here = {
            each.export_id: each.progress.bytes_written
            for each in self._attempts
            if each.workspace == attempt.workspace
        }
        return {**attempt.reported_sizes, **here}

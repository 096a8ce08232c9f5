"""The schedule of the garbage collector: it runs when memory has grown, not when many objects have been created.

Our code creates no reference cycles, and tests hold that, so most collections find nothing. But a library may create
one, and a cycle of five objects can hold a body of megabytes. The collector counts objects and does not see their
size, so a task checks the memory of the process once a second.
"""

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

_EVERY_S = 1.0
_LEAST_GROWTH_BYTES = 64 << 20
_STATM = Path("/proc/self/statm")


def configure_gc(*, by_count: bool) -> None:
    """Exclude all present objects from collection, and collect seldom by the count of objects, or not at all."""
    gc.collect()
    gc.freeze()
    if by_count or not resident_bytes():
        gc.set_threshold(50_000, 10, 10)
    else:
        gc.disable()


def resident_bytes() -> int:
    """The resident memory of this process; 0 where the system does not report it."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class MemoryWatch:
    """Collects garbage when memory has grown by 64 MB and a quarter since its minimum."""

    def __init__(
        self, resident: Callable[[], int] = resident_bytes, collect: Callable[[], object] = gc.collect
    ) -> None:
        self._resident, self._collect = resident, collect
        self._least = resident()

    def collect_if_grown(self) -> None:
        """Collect if memory has grown that much."""
        now = self._resident()
        if now - self._least > max(_LEAST_GROWTH_BYTES, self._least // 4):
            self._collect()
            # What remains now is in use.
            self._least = self._resident()
        self._least = min(self._least, now)


async def watch_memory() -> None:
    """Check the memory once a second, for the life of the program."""
    watch = MemoryWatch()
    while True:
        await asyncio.sleep(_EVERY_S)
        watch.collect_if_grown()

"""When the garbage collector looks: when memory has grown, rather than whenever so many objects were made.

Nothing here leaves cycles behind, and tests hold that; so what the collector looks through it looks through in vain.
But libraries may, and a cycle of five objects may hold a body of megabytes. The collector counts objects and does not
see that, so the process's memory is looked at once a second.
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
    """Leave what is there now alone for ever, and look seldom; not at all by count where very many objects are made."""
    gc.collect()
    gc.freeze()
    if by_count or not resident_bytes():
        gc.set_threshold(50_000, 10, 10)
    else:
        gc.disable()


def resident_bytes() -> int:
    """The memory that this process has now; 0 where the system does not say."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class MemoryWatch:
    """Has garbage collected when memory has grown by 64 MB and a quarter since it was least."""

    def __init__(
        self, resident: Callable[[], int] = resident_bytes, collect: Callable[[], object] = gc.collect
    ) -> None:
        self._resident, self._collect = resident, collect
        self._least = resident()

    def look(self) -> None:
        """Collect if it is time to."""
        now = self._resident()
        if now - self._least > max(_LEAST_GROWTH_BYTES, self._least // 4):
            self._collect()
            # What is left is in use.
            self._least = self._resident()
        self._least = min(self._least, now)


async def watch_memory() -> None:
    """Look once a second, for the life of the program."""
    watch = MemoryWatch()
    while True:
        await asyncio.sleep(_EVERY_S)
        watch.look()

"""How a Faust program is: whether its event loop turns, whether it reads its partitions, and what it waits for.

Written by the event loop and read by the thread that answers /healthz and /readyz.
"""

import asyncio
import time
from collections.abc import Callable

from runtime.health_server import Health

_TURN_S = 1.0
# Of a loop that shares its interpreter with a thread that computes, on a machine that is busy.
_STANDS_STILL_S = 30.0
_READS_NOTHING_S = 60.0


class Vitals:
    """What one program notes of itself. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned: float | None = None
        self._read: float | None = None
        self._waits_for = Health()

    async def keep_turning(self) -> None:
        """Note for ever that the event loop turns."""
        while True:
            self._turned = self._clock()
            await asyncio.sleep(_TURN_S)

    def read(self) -> None:
        """The consumer, which has partitions, has looked for records."""
        self._read = self._clock()

    def waits_for(self, engine: str, why: str) -> None:
        """The work at hand stands still, for `why`, until this engine does its part."""
        self._waits_for = Health(why, engine)

    def waits_for_nothing(self) -> None:
        """It goes on."""
        self._waits_for = Health()

    def alive(self) -> Health:
        """Whether the event loop turns; it has not begun to while the program starts."""
        still = 0.0 if self._turned is None else self._clock() - self._turned
        return Health(f"the event loop has stood still for {still:.0f} s") if still > _STANDS_STILL_S else Health()

    def ready(self) -> Health:
        """Whether records are read and seen through."""
        if self._waits_for.fault:
            return self._waits_for
        if self._read is None:
            return Health("no partitions have been assigned yet")
        idle = self._clock() - self._read
        return Health(f"Kafka has been asked for nothing for {idle:.0f} s") if idle > _READS_NOTHING_S else self.alive()


VITALS = Vitals()
"""Of this process, which is one program."""

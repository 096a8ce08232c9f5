"""The health of a Faust program: whether its event loop runs, whether it reads its partitions, and what blocks it.

The event loop writes it, and the thread that answers /healthz and /readyz reads it.
"""

import asyncio
import time
from collections.abc import Callable

from runtime.health_server import Health

_LOOP_CHECK_S = 1.0
# The event loop shares its interpreter with a thread that computes, on a machine that may be busy.
_LOOP_BLOCKED_AFTER_S = 30.0
_UNREAD_AFTER_S = 60.0


class ProgramHealth:
    """The health of one program. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loop_ran: float | None = None
        self._fetched: float | None = None
        self._blocked = Health()

    async def watch_event_loop(self) -> None:
        """Note again and again that the event loop runs."""
        while True:
            self._loop_ran = self._clock()
            await asyncio.sleep(_LOOP_CHECK_S)

    def note_fetch(self) -> None:
        """Note that the consumer, which has partitions, looks for records."""
        self._fetched = self._clock()

    def set_blocked(self, engine: str, why: str) -> None:
        """Note that the present work waits for this engine, and why."""
        self._blocked = Health(why, engine)

    def clear_blocked(self) -> None:
        """Note that the work continues."""
        self._blocked = Health()

    def liveness(self) -> Health:
        """Whether the event loop runs. While the program starts, it counts as running."""
        still = 0.0 if self._loop_ran is None else self._clock() - self._loop_ran
        return Health(f"the event loop has stood still for {still:.0f} s" if still > _LOOP_BLOCKED_AFTER_S else "")

    def readiness(self) -> Health:
        """Whether records are read and processed."""
        if self._blocked.fault:
            return self._blocked
        if self._fetched is None:
            return Health("no partitions have been assigned yet")
        idle = self._clock() - self._fetched
        if idle > _UNREAD_AFTER_S:
            return Health(f"Kafka has been asked for nothing for {idle:.0f} s")
        return self.liveness()


HEALTH = ProgramHealth()
"""The health of this process, which is one program."""

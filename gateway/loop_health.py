"""Whether the gateway's event loop runs, as the thread that answers /healthz sees it."""

import asyncio
import time

from runtime.health_server import Health

_CHECKED_EVERY_S = 1.0
_BLOCKED_AFTER_S = 30.0


class LoopHealth:
    """Written by the event loop, read by another thread."""

    def __init__(self) -> None:
        self._ran: float | None = None

    async def watch(self) -> None:
        """Note again and again that the event loop runs."""
        while True:
            self._ran = time.monotonic()
            await asyncio.sleep(_CHECKED_EVERY_S)

    def liveness(self) -> Health:
        """Whether the event loop runs. While the program starts, it counts as running."""
        still = 0.0 if self._ran is None else time.monotonic() - self._ran
        return Health(f"the event loop has stood still for {still:.0f} s" if still > _BLOCKED_AFTER_S else "")

    def readiness(self) -> Health:
        """Whether calls pass. That logs cannot be sent is no reason to take no calls."""
        return Health("the gateway has not started yet") if self._ran is None else self.liveness()

"""Steady time, and waiting for something or for a while."""

import threading
import time


class Clock:
    """The clock of this machine. Tests give a client one that needs no time."""

    def now(self) -> float:
        """Seconds of a steady clock."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, but no longer than this; whether it came."""
        return event.wait(seconds)

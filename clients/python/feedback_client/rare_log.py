"""Warnings that come once a minute at most, each saying how many it stands for."""

import logging
import threading

from feedback_client.clock import Clock

INTERVAL_S = 60.0

log = logging.getLogger("feedback_client")


class RareLog:
    """One kind of warning."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: float | None = None
        self._unsaid = 0

    def warn(self, text: str, number: int = 1) -> None:
        """Log the text and how many it stands for; only count them where the last warning is less than a minute old."""
        with self._lock:
            self._unsaid += number
            now = self._clock.now()
            if self._last is not None and now - self._last < INTERVAL_S:
                return
            self._last, number, self._unsaid = now, self._unsaid, 0
        log.warning("%s (%d since the last such warning)", text, number)

"""The restart policy for a program or task that has ended: growing pauses, and a limit on restarts within a minute."""

from collections import deque
from dataclasses import dataclass, field


@dataclass
class Restarts:
    """The recent ends of one program or task. Times are seconds of any steady clock.

    Pauses double up to `longest`. After `most` ends within the `window` there is no further start.
    """

    most: int = 5
    window: float = 60.0
    longest: float = 5.0
    _times: deque[float] = field(default_factory=deque)

    def pause_after(self, now: float) -> float | None:
        """Record an end; seconds to wait before the next start, or None where there were too many."""
        self._times.append(now)
        while self._times[0] <= now - self.window:
            self._times.popleft()
        if len(self._times) >= self.most:
            return None
        return min(self.longest, 0.2 * 2.0 ** min(len(self._times) - 1, 20))

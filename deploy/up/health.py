"""Decides when a running program of `feedback up` is to be restarted: it does not answer, or is never ready. Pure.

A program that waits for an engine is not at fault. So its unreadiness counts only while both engines answer, and not
while it reports itself that it waits for one. If a restart does not help, the next one comes after twice the time.
"""

from dataclasses import dataclass

SILENT_S = 20.0
FIRST_ANSWER_S = 60.0
UNREADY_S = 60.0
_MOST_UNREADY_S = 960.0
# A supervisor that was halted itself must not count that time as silence of its programs.
_LEAST_MISSES = 3


@dataclass(frozen=True)
class Check:
    """The result of a health check: whether the program answered, why it is not ready, and the engine it waits for."""

    is_alive: bool
    fault: str = ""
    waits_for: str = ""


class Patience:
    """The health of one program over time. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self.misses = 0
        self._heard = 0.0
        self._has_answered = False
        self._unready_since: float | None = None
        self._unready_limit = UNREADY_S

    def begin(self, now: float) -> None:
        """Start again: its process has been started, or continued after it was halted on purpose."""
        self.misses, self._heard, self._has_answered, self._unready_since = 0, now, False, None

    def verdict(self, now: float, check: Check, *, engines_answer: bool) -> str:
        """Why the process is to be restarted, for a person; empty while it is not."""
        if not check.is_alive:
            self.misses += 1
            silent = now - self._heard
            limit = SILENT_S if self._has_answered else FIRST_ANSWER_S
            if self.misses >= _LEAST_MISSES and silent > limit:
                return f"it has answered no health check for {silent:.0f} s" + (
                    f": {check.fault}" if check.fault else ""
                )
            return ""
        self.misses, self._heard, self._has_answered = 0, now, True
        if not check.fault:
            self._unready_limit = UNREADY_S
        if not check.fault or check.waits_for or not engines_answer:
            self._unready_since = None
            return ""
        if self._unready_since is None:
            self._unready_since = now
        unready = now - self._unready_since
        if unready <= self._unready_limit:
            return ""
        self._unready_limit = min(2 * self._unready_limit, _MOST_UNREADY_S)
        return f"it has not been ready for {unready:.0f} s although both engines answer: {check.fault}"

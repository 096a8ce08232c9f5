"""What to do after a call to the server: done, try again and when, send in parts, or give up.

Pure; chance comes in. A call that the server cannot take now is repeated for as long as it takes. A call that the
server fails on is repeated a number of times: it may fail for ever, and everything else waits behind it.
"""

from dataclasses import dataclass
from enum import Enum

# The server, or what stands before it, cannot take calls now.
_AWAY = {0, 408, 425, 429, 502, 503, 504}
# Refusals of what is sent, which may be the fault of one item of many.
_OF_ITEMS = {400, 413, 422}
MOST_FAILURES = 12
"""Attempts at a call that the server fails on: about three minutes."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


class Verdict(Enum):
    """What follows from an answer."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    SPLIT = "split"
    REFUSED = "refused"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class Answer:
    """What came of one call. Status 0: there was no answer."""

    status: int
    message: str
    retry_after_s: float = 0.0

    @property
    def is_failure(self) -> bool:
        """Whether the server has failed on the call itself."""
        return self.status >= 500 and self.status not in _AWAY


def verdict(answer: Answer, items: int, failures: int) -> Verdict:
    """What follows for a call with so many items, on which the server has failed so often, this answer included."""
    if 200 <= answer.status < 300:
        return Verdict.ACCEPTED
    if answer.status in _AWAY:
        return Verdict.RETRY
    if answer.is_failure:
        return Verdict.RETRY if failures < MOST_FAILURES else Verdict.GIVE_UP
    return Verdict.SPLIT if answer.status in _OF_ITEMS and items > 1 else Verdict.REFUSED


def pause_after(attempt: int, answer: Answer, chance: float) -> float:
    """Seconds before the next attempt: longer each time, spread by `chance` (0 to 1), no less than the server asks."""
    backoff = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(attempt, 20))
    return max(answer.retry_after_s, 0.0) + backoff * (0.5 + chance / 2)


def seconds_in(retry_after: str) -> float:
    """The seconds in a `Retry-After` header; 0 where it has none."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 7 else 0.0

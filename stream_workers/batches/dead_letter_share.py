"""A circuit breaker: a worker to which most records are unreadable is itself at fault, and stops before it says so.

Records are checked by the edge before it accepts them. So where most of those read lately would become dead letters
for a reason that no call can bring about, it is the worker's version that is wrong, or another writer of the topic.
Pure.
"""

from collections import deque
from collections.abc import Collection

CAUSED_BY_CALLS = frozenset({"unknown_feedback", "deleted_feedback", "id_reused", "idempotency_key_reused"})
"""Reasons that calls which the edge accepts can bring about, as many as anybody likes; they do not count."""

WINDOW = 1000
"""Records, the latest, of which the share is taken; a poll that has more counts as a whole."""

LEAST = 50
"""Dead letters among them below which nothing is concluded."""


class TooManyDeadError(RuntimeError):
    """Nothing of the poll at hand was stored, published or committed."""


class DeadShare:
    """The share of unreadable records among the latest. `limit` is the share beyond which to stop; 0 or 1: none."""

    def __init__(self, limit: float) -> None:
        self._limit = limit if 0 < limit < 1 else 1.0
        self._polls: deque[tuple[int, int]] = deque()
        self._records = self._dead = 0

    def take(self, records: int, dead: Collection[str]) -> None:
        """Count a poll before anything of it is stored: its records, and the reason of each that is dead.

        TooManyDeadError where the worker must not go on.
        """
        counted = [reason for reason in dead if reason not in CAUSED_BY_CALLS]
        self._add(records, len(counted))
        if self._dead >= LEAST and self._dead > self._limit * self._records:
            raise TooManyDeadError(
                f"{self._dead} of the latest {self._records} records would become dead letters ({_counted(counted)}),"
                f" more than FEEDBACK_MAX_DEAD_SHARE={self._limit:g} allows; nothing of this poll was stored or"
                " committed. Most likely this version cannot read what the edge writes: run the version that can."
                " If these records are to be dead letters, run the worker once with FEEDBACK_MAX_DEAD_SHARE=1;"
                " `feedback dead redrive` sends them through again later."
            )

    def _add(self, records: int, dead: int) -> None:
        self._polls.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._polls[0][0] >= WINDOW:
            former_records, former_dead = self._polls.popleft()
            self._records -= former_records
            self._dead -= former_dead


def _counted(reasons: Collection[str]) -> str:
    return ", ".join(f"{reason} {list(reasons).count(reason)}" for reason in sorted(set(reasons))) or "earlier ones"

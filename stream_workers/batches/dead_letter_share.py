"""A circuit breaker: it stops a worker that would turn most of the latest records into dead letters. Pure.

The edge checks every event before it accepts it. So if most of the latest records would become dead letters, for
reasons that no call can cause, the version of the worker is wrong, or something else writes to the topic.
"""

from collections import Counter, deque
from collections.abc import Collection
from typing import NamedTuple

CAUSED_BY_CALLS = frozenset({"unknown_feedback", "deleted_feedback", "id_reused", "idempotency_key_reused"})
"""Reasons that a call can cause although the edge accepts it. They are not counted, because anybody can cause many."""

WINDOW = 1000
"""How many of the latest records the share is taken of; a batch that has more counts whole."""

LEAST = 50
"""Fewer dead letters than this stop nothing."""


class DeadRecord(NamedTuple):
    """A record that would become a dead letter: why, in a word and in a sentence, and TOPIC/PARTITION/SEQUENCE."""

    reason: str
    detail: str
    place: str


class TooManyDeadError(RuntimeError):
    """Most of the latest records would become dead letters. Nothing of the present batch is stored or committed."""


class DeadShare:
    """The share of dead letters among the latest records. `limit` is the share beyond which to stop; 0 or 1: never."""

    def __init__(self, limit: float) -> None:
        self._limit = limit if 0 < limit < 1 else 1.0
        self._batches: deque[tuple[int, int]] = deque()
        self._records = self._dead = 0

    def count_batch(self, records: int, dead: Collection[DeadRecord]) -> None:
        """Count a batch before anything of it is stored: its records, and those that would become dead letters.

        Raises TooManyDeadError if the worker must stop.
        """
        counted = [each for each in dead if each.reason not in CAUSED_BY_CALLS]
        self._add(records, len(counted))
        if self._dead >= LEAST and self._dead > self._limit * self._records:
            raise TooManyDeadError(
                f"{self._dead} of the latest {self._records} records would become dead letters ({_summary(counted)}),"
                f" more than FEEDBACK_MAX_DEAD_SHARE={self._limit:g} allows; nothing of this batch was stored or"
                " committed. Most likely this version cannot read what the edge writes: run the version that can."
                " If these records are to be dead letters, run the worker once with FEEDBACK_MAX_DEAD_SHARE=1;"
                " `feedback dead redrive` sends them through again later."
            )

    def _add(self, records: int, dead: int) -> None:
        self._batches.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._batches[0][0] >= WINDOW:
            former_records, former_dead = self._batches.popleft()
            self._records -= former_records
            self._dead -= former_dead


def _summary(dead: Collection[DeadRecord]) -> str:
    """How many there are of each reason, and what is wrong with the first."""
    if not dead:
        return "earlier ones"
    numbers = Counter(each.reason for each in dead)
    first = next(iter(dead))
    return (
        f"{', '.join(f'{each} {numbers[each]}' for each in sorted(numbers))}; the first, {first.place}: {first.detail}"
    )

"""The progress of the workers: rates and stalls, computed from offsets that were read at several times. Pure.

Nothing is stored: a process knows only what it has read itself. A consumer group has stalled in a partition if its
commit does not move although records wait, since the first reading that found it there.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

LOOK_BACK_S = 60.0
_LEAST_S = 1.0


class GroupPartition(NamedTuple):
    """One partition of a topic as one consumer group reads it."""

    group: str
    topic: str
    partition: int


class Offsets(NamedTuple):
    """Offsets of a partition: of its first record, of its next record, and the group's commit, if there is one."""

    start: int
    end: int
    committed: int | None

    @property
    def done(self) -> int:
        """The offset before which the group has nothing left to read."""
        return max(self.start, self.committed or 0)

    @property
    def lag(self) -> int:
        """How many records wait for the group."""
        return max(0, self.end - self.done)


GroupOffsets = dict[GroupPartition, Offsets]


class Rates(NamedTuple):
    """Records a second in the last `seconds`."""

    accepted_per_s: float
    stored_per_s: float
    seconds: float


class PipelineProgress:
    """The offsets as this process has read them over time."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, GroupOffsets]] = deque()
        self._unmoved_since: dict[GroupPartition, tuple[int, float]] = {}

    def record(self, at_s: float, offsets_read: GroupOffsets) -> None:
        """Record the offsets that were read at this time of a steady clock."""
        before = self._readings[-1][1] if self._readings else {}
        if any(place in before and offsets_read[place].end < before[place].end for place in offsets_read):
            # The topics were created again: earlier offsets mean nothing now.
            self._readings.clear()
            self._unmoved_since.clear()
        while self._readings and at_s - self._readings[0][0] > LOOK_BACK_S:
            self._readings.popleft()
        self._readings.append((at_s, offsets_read))
        for place, offsets in offsets_read.items():
            known = self._unmoved_since.get(place)
            if not offsets.lag:
                self._unmoved_since.pop(place, None)
            elif known is None or known[0] != offsets.done:
                self._unmoved_since[place] = offsets.done, at_s

    def stalled_s(self, place: GroupPartition) -> float:
        """For how long the group has stalled in this partition; 0 where it is not known to have stalled."""
        known = self._unmoved_since.get(place)
        return self._readings[-1][0] - known[1] if known and self._readings else 0.0

    def rates(self, group: str) -> Rates | None:
        """The rates of what this group reads; None until offsets of two times are known."""
        if not self._readings or (seconds := self._readings[-1][0] - self._readings[0][0]) < _LEAST_S:
            return None
        first, last = (_sums(offsets_read, group) for offsets_read in (self._readings[0][1], self._readings[-1][1]))
        return Rates((last[0] - first[0]) / seconds, (last[1] - first[1]) / seconds, seconds)


def _sums(offsets_read: GroupOffsets, group: str) -> tuple[int, int]:
    of_group: Iterable[Offsets] = [offsets for place, offsets in offsets_read.items() if place.group == group]
    return sum(each.end for each in of_group), sum(each.done for each in of_group)

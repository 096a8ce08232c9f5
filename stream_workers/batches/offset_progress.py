"""How far each partition has been read, handed out and acknowledged, and what may be committed; no engine."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.structs import ConsumerRecord
from faust.types import TP


class Lost(NamedTuple):
    """Offsets from `first` to before `end` that should have been read, and of which the log has no record any more.

    `first` is None where nothing was ever committed: then they begin after the last record that is stored.
    """

    first: int | None
    end: int


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records of one partition, and what is lost before or between them; there may be no records but then a loss.
    `follows` is the offset after the batch delivered before this one."""

    tp: TP
    records: list[ConsumerRecord]
    follows: int | None
    lost: tuple[Lost, ...] = ()

    @property
    def next_offset(self) -> int:
        return int(self.records[-1].offset) + 1 if self.records else self.lost[-1].end


@dataclass(frozen=True, slots=True)
class Poll:
    """What was read since the poll before: at least one batch, each of another partition, all of one `assignment`."""

    batches: list[RecordBatch]
    assignment: int


class SkippedRecords(Exception):
    """A batch was acknowledged although one before it was not: the worker must restart from its commits."""


@dataclass(slots=True)
class Progress:
    """How far one partition has come since it was assigned, in offsets."""

    first: int | None = None
    delivered: int | None = None
    committable: int | None = None
    expected: int | None = None
    """The offset of the next record, as far as it is known."""
    lost: tuple[Lost, ...] = ()
    """What is found to be lost before it, and not delivered yet."""
    in_hand: deque[tuple[int, int]] = field(default_factory=deque)
    """Of each batch that is delivered and not acknowledged: its next offset, and when its first record was written."""

    def begin(self, committed: int | None, start: int | None) -> None:
        """Reading begins at the commit, or at the log's start where there is none or the log has lost it."""
        self.expected = start if committed is None else max(committed, start or 0)
        if start and start > (committed or 0):
            self.lost = (Lost(committed, start),)

    def deliver(self, tp: TP, records: list[ConsumerRecord]) -> RecordBatch:
        batch = RecordBatch(tp, records, self.delivered, self.lost + holes(self.expected, records))
        if self.first is None:
            self.first = int(records[0].offset) if records else batch.next_offset
        self.delivered = self.expected = batch.next_offset
        self.lost = ()
        if records:
            self.in_hand.append((batch.next_offset, int(records[0].timestamp)))
        return batch

    def acknowledge(self, batch: RecordBatch) -> None:
        if batch.follows is not None and (self.committable is None or batch.follows > self.committable):
            raise SkippedRecords(
                f"{batch.tp}: records before offset {batch.follows} were delivered and never acknowledged"
            )
        self.committable = max(self.committable or 0, batch.next_offset)
        while self.in_hand and self.in_hand[0][0] <= self.committable:
            self.in_hand.popleft()


def holes(expected: int | None, records: Sequence[ConsumerRecord]) -> tuple[Lost, ...]:
    """What the log has passed over before and between these records, the first of which should have been at `expected`.

    Every offset of an input topic is a record: none is compacted and none is written in transactions.
    """
    if not records:
        return ()
    first = int(records[0].offset) if expected is None else min(expected, records[0].offset)
    if records[-1].offset - first + 1 == len(records):
        return ()
    found, next_offset = [], first
    for record in records:
        if record.offset > next_offset:
            found.append(Lost(next_offset, record.offset))
        next_offset = record.offset + 1
    return tuple(found)


@dataclass
class ProgressOfAssignment:
    """The progress of every assigned partition; pure bookkeeping, no engine.

    `number` counts assignments. Whenever reading starts anew, after a rebalance or a seek, all polls delivered
    before are void: their records will come again, here or elsewhere.
    """

    number: int = 0
    partitions: dict[TP, Progress] = field(default_factory=dict)
    next_wanted: bool = True
    """Whether the agent has asked for the poll after the one delivered last."""
    gathered: dict[TP, list[ConsumerRecord]] = field(default_factory=dict)
    """What has been read since that one."""

    def begin(self, tp: TP, committed: int | None, start: int | None) -> None:
        """Note where reading a partition begins: its commit, and the first offset of its log; None where not known."""
        self.partitions.setdefault(tp, Progress()).begin(committed, start)

    def gather(self, records: Mapping[TP, list[ConsumerRecord]]) -> None:
        for tp, batch in records.items():
            self.gathered.setdefault(tp, []).extend(batch)

    @property
    def gathered_count(self) -> int:
        return sum(map(len, self.gathered.values()))

    @property
    def has_poll(self) -> bool:
        """Whether there is anything to deliver: records, or a loss that none have followed yet."""
        return bool(self.gathered) or any(progress.lost for progress in self.partitions.values())

    def poll(self) -> Poll:
        """All that was gathered, and all that is lost."""
        self.next_wanted = False
        records: dict[TP, list[ConsumerRecord]] = {
            tp: [] for tp, progress in self.partitions.items() if progress.lost
        } | self.gathered
        batches = [self.partitions.setdefault(tp, Progress()).deliver(tp, batch) for tp, batch in records.items()]
        self.gathered = {}
        return Poll(batches, self.number)

    def acknowledge(self, poll: Poll) -> None:
        if poll.assignment == self.number:
            for batch in poll.batches:
                self.partitions[batch.tp].acknowledge(batch)

    def ask_for_next(self, poll: Poll) -> None:
        if poll.assignment == self.number:
            self.next_wanted = True

    def committable(self, tp: TP) -> int | None:
        progress = self.partitions.get(tp)
        return progress.committable if progress else None

    def seen_through(self, tp: TP) -> int | None:
        """The offset before which all is acknowledged; None where nothing was delivered in this assignment."""
        progress = self.partitions.get(tp)
        return (progress.first if progress.committable is None else progress.committable) if progress else None

    def oldest_ms(self, tp: TP) -> int | None:
        """When the first record was written that is read and not acknowledged, Unix milliseconds; None without any."""
        progress = self.partitions.get(tp)
        in_hand = [written for _, written in tuple(progress.in_hand)] if progress else []
        in_hand += [int(record.timestamp) for record in self.gathered.get(tp, [])[:1]]
        return in_hand[0] if in_hand else None

    def start_anew(self) -> None:
        self.number += 1
        self.partitions.clear()
        self.gathered = {}
        self.next_wanted = True

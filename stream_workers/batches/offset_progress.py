"""How far each partition has been read, delivered and acknowledged, and which offsets may be committed. No engine."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka.structs import ConsumerRecord
from faust.types import TP


class LostOffsets(NamedTuple):
    """Offsets from `first` to before `end` that were to be read and whose records the log no longer has.

    `first` is None where nothing was ever committed: then they begin after the last record that is stored.
    """

    first: int | None
    end: int


@dataclass(frozen=True, slots=True)
class PartitionRecords:
    """What a consumer batch holds of one partition: its records, and the offsets that are lost before or between them.

    There may be no records, but then some are lost. `follows` is the offset after the records of this partition that
    were delivered before these.
    """

    tp: TP
    records: list[ConsumerRecord]
    follows: int | None
    lost: tuple[LostOffsets, ...] = ()

    @property
    def next_offset(self) -> int:
        return int(self.records[-1].offset) + 1 if self.records else self.lost[-1].end


@dataclass(frozen=True, slots=True)
class ConsumerBatch:
    """All that was read since the previous batch: records of at least one partition, all under one `assignment`."""

    partitions: list[PartitionRecords]
    assignment: int


class CommitsWentBackError(Exception):
    """Kafka has a lower commit than this process has made: its log is another one. The message is for a person."""


class BatchAbandoned(Exception):
    """The assignment of the batch is over; another process will read its records."""


class SkippedRecords(Exception):
    """Records were acknowledged although earlier ones were not: the worker must restart from its commits."""


@dataclass(slots=True)
class PartitionProgress:
    """How far one partition has come since it was assigned, in offsets."""

    first: int | None = None
    delivered: int | None = None
    committable: int | None = None
    expected: int | None = None
    """The offset of the next record, if it is known."""
    lost: tuple[LostOffsets, ...] = ()
    """Offsets found to be lost before it, not delivered yet."""
    in_flight: deque[tuple[int, int]] = field(default_factory=deque)
    """Deliveries that are not acknowledged: the next offset of each, and when its first record was written."""

    def begin(self, committed: int | None, start: int | None) -> None:
        """Begin to read at the commit, or at the start of the log if there is no commit or its record is lost."""
        self.expected = start if committed is None else max(committed, start or 0)
        if start and start > (committed or 0):
            self.lost = (LostOffsets(committed, start),)

    def deliver(self, tp: TP, records: list[ConsumerRecord]) -> PartitionRecords:
        part = PartitionRecords(tp, records, self.delivered, self.lost + missing_offsets(self.expected, records))
        if self.first is None:
            self.first = int(records[0].offset) if records else part.next_offset
        self.delivered = self.expected = part.next_offset
        self.lost = ()
        if records:
            self.in_flight.append((part.next_offset, int(records[0].timestamp)))
        return part

    def acknowledge(self, part: PartitionRecords) -> None:
        if part.follows is not None and (self.committable is None or part.follows > self.committable):
            raise SkippedRecords(
                f"{part.tp}: records before offset {part.follows} were delivered and never acknowledged"
            )
        self.committable = max(self.committable or 0, part.next_offset)
        while self.in_flight and self.in_flight[0][0] <= self.committable:
            self.in_flight.popleft()


def missing_offsets(expected: int | None, records: Sequence[ConsumerRecord]) -> tuple[LostOffsets, ...]:
    """The offsets that have no record before and between these, the first of which should have been at `expected`.

    Every offset of an input topic is a record: no input topic is compacted or written in transactions.
    """
    if not records:
        return ()
    first = int(records[0].offset) if expected is None else min(expected, records[0].offset)
    if records[-1].offset - first + 1 == len(records):
        return ()
    found, next_offset = [], first
    for record in records:
        if record.offset > next_offset:
            found.append(LostOffsets(next_offset, record.offset))
        next_offset = record.offset + 1
    return tuple(found)


@dataclass
class AssignmentProgress:
    """The progress of every assigned partition.

    `number` counts assignments. Reading starts again after a rebalance or a seek, and then every batch delivered before
    is void: its records will be read again, here or by another worker.
    """

    number: int = 0
    partitions: dict[TP, PartitionProgress] = field(default_factory=dict)
    next_requested: bool = True
    """Whether the agent has asked for the batch after the one delivered last."""
    gathered: dict[TP, list[ConsumerRecord]] = field(default_factory=dict)
    """Records that were read since that batch."""
    commits: dict[TP, int] = field(default_factory=dict)
    """What this process has committed, in every assignment."""

    def begin(self, tp: TP, committed: int | None, start: int | None) -> None:
        """Note where reading a partition begins: its commit and the first offset of its log, None where not known.

        CommitsWentBackError where that is before a commit of this process. Another log gives its offsets anew, so its
        events would count as older than stored ones and change nothing.
        """
        own = self.commits.get(tp, 0)
        if (committed or 0) < own:
            found = "no commit" if committed is None else f"{committed:,}"
            raise CommitsWentBackError(
                f"this process has committed offset {own:,} of {tp.topic}/{tp.partition}, and Kafka has {found}:"
                " its log was replaced, or its group was set back"
            )
        self.partitions.setdefault(tp, PartitionProgress()).begin(committed, start)

    def note_commits(self, offsets: Mapping[TP, int], assignment: int) -> None:
        """Note what Kafka has taken as commits, under this assignment: of later ones, Faust may have left some out."""
        if assignment == self.number:
            self.commits.update(offsets)

    def gather(self, records: Mapping[TP, list[ConsumerRecord]]) -> None:
        for tp, read in records.items():
            self.gathered.setdefault(tp, []).extend(read)

    @property
    def gathered_count(self) -> int:
        return sum(map(len, self.gathered.values()))

    @property
    def has_batch(self) -> bool:
        """Whether there is anything to deliver: records, or lost offsets."""
        return bool(self.gathered) or any(progress.lost for progress in self.partitions.values())

    def take_batch(self) -> ConsumerBatch:
        """Deliver everything that was gathered, and all lost offsets."""
        self.next_requested = False
        records: dict[TP, list[ConsumerRecord]] = {
            tp: [] for tp, progress in self.partitions.items() if progress.lost
        } | self.gathered
        delivered = [self.partitions.setdefault(tp, PartitionProgress()).deliver(tp, of) for tp, of in records.items()]
        self.gathered = {}
        return ConsumerBatch(delivered, self.number)

    def acknowledge(self, batch: ConsumerBatch) -> None:
        if batch.assignment == self.number:
            for part in batch.partitions:
                self.partitions[part.tp].acknowledge(part)

    def request_next(self, batch: ConsumerBatch) -> None:
        if batch.assignment == self.number:
            self.next_requested = True

    def committable(self, tp: TP) -> int | None:
        progress = self.partitions.get(tp)
        return progress.committable if progress else None

    def acknowledged_through(self, tp: TP) -> int | None:
        """The offset before which all records are acknowledged; None if nothing was read in this assignment."""
        if (progress := self.partitions.get(tp)) and progress.first is not None:
            return progress.first if progress.committable is None else progress.committable
        waiting = self.gathered.get(tp)
        return int(waiting[0].offset) if waiting else None

    def oldest_ms(self, tp: TP) -> int | None:
        """When the oldest record was written that is read and not acknowledged, Unix milliseconds; None without any."""
        progress = self.partitions.get(tp)
        written = [at for _, at in tuple(progress.in_flight)] if progress else []
        written += [int(record.timestamp) for record in self.gathered.get(tp, [])[:1]]
        return written[0] if written else None

    def reset(self) -> None:
        self.number += 1
        self.partitions.clear()
        self.gathered = {}
        self.next_requested = True

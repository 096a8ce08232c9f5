"""How far each partition has been read, handed out and acknowledged, and what may be committed; no engine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka.structs import ConsumerRecord
from faust.types import TP


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition. `follows` is the offset after the batch delivered before this one."""

    tp: TP
    records: list[ConsumerRecord]
    follows: int | None

    @property
    def next_offset(self) -> int:
        return int(self.records[-1].offset) + 1


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

    def deliver(self, tp: TP, records: list[ConsumerRecord]) -> RecordBatch:
        if self.first is None:
            self.first = int(records[0].offset)
        batch = RecordBatch(tp, records, follows=self.delivered)
        self.delivered = batch.next_offset
        return batch

    def acknowledge(self, batch: RecordBatch) -> None:
        if batch.follows is not None and (self.committable is None or batch.follows > self.committable):
            raise SkippedRecords(
                f"{batch.tp}: records before offset {batch.follows} were delivered and never acknowledged"
            )
        self.committable = max(self.committable or 0, batch.next_offset)


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

    def gather(self, records: Mapping[TP, list[ConsumerRecord]]) -> None:
        for tp, batch in records.items():
            self.gathered.setdefault(tp, []).extend(batch)

    @property
    def gathered_count(self) -> int:
        return sum(map(len, self.gathered.values()))

    def poll(self) -> Poll:
        """All that was gathered."""
        self.next_wanted = False
        batches = [self.partitions.setdefault(tp, Progress()).deliver(tp, batch) for tp, batch in self.gathered.items()]
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

    def start_anew(self) -> None:
        self.number += 1
        self.partitions.clear()
        self.gathered = {}
        self.next_wanted = True

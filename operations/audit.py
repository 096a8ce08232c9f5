"""Accounts for every record of the input topics: it is stored, dead, erased, or still waits for a worker.

Offsets come from Kafka, rows from ClickHouse. A record below the workers' commits that has no row is missing. One with
two rows is doubled. One that was erased and has a row again has returned: a worker was late, or read it again. A row
above the end of its log is a stranger. A record that Kafka deleted before a worker had read it is lost, until an
operator acknowledges the loss. Each of these is a fault.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from clickhouse_connect.driver.client import Client

from operations.connections import clickhouse, kafka, offset_base
from operations.lost_records import Losses, Place, SequenceRange, clip_ranges, merge_ranges, read_losses
from operations.record_places import (
    LAST_SEQUENCE,
    count_different,
    count_places,
    count_unstored,
    first_absent,
    highest_stored,
)
from runtime.kafka_offsets import Offsets, committed_offsets, end_offsets, start_offsets
from schemas.topics import INPUTS


@dataclass(frozen=True)
class PartitionLog:
    """The log of one partition: offsets of its first record and of its next one, and the workers' commit. Without a
    commit that is the start of the log."""

    topic: str
    partition: int
    start: int
    end: int
    committed: int
    has_commit: bool = True

    @property
    def place(self) -> Place:
        """Its topic and partition."""
        return self.topic, self.partition


FAULTS = ("missing", "doubled", "returned", "strangers", "lost")
"""The kinds of faults."""


@dataclass(frozen=True)
class Account:
    """What has become of the records of a log. `missing_offsets` are the first of the missing records; `lost_ranges`
    are sequences that contain all lost ones."""

    log: PartitionLog
    stored: int
    dead: int
    erased: int
    waiting: int
    missing: int
    doubled: int
    returned: int
    strangers: int
    lost: int
    acknowledged: int
    missing_offsets: list[int] = field(default_factory=list)
    lost_ranges: list[SequenceRange] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return self.log.end - self.log.start

    @property
    def difference(self) -> int:
        """How many records are at fault."""
        return sum(getattr(self, kind) for kind in FAULTS)


def faults_of(accounts: Iterable[Account]) -> dict[str, int]:
    """How many records of these accounts have each kind of fault."""
    listed = list(accounts)
    return {kind: sum(getattr(each, kind) for each in listed) for kind in FAULTS}


def is_foreign_group(accounts: Iterable[Account]) -> bool:
    """Whether the group has committed nothing although records are stored: then it is not the group of the workers."""
    listed = list(accounts)
    return any(each.stored + each.dead for each in listed) and not any(each.log.has_commit for each in listed)


def audit(clickhouse_url: str, bootstrap: str, group: str, base: int | None) -> list[Account]:
    """The account of every partition that holds or held a record. CommandError where an engine does not answer.

    Workers may run meanwhile: commits are read first, and a record that is stored after that counts as stored.
    """
    with clickhouse(clickhouse_url) as client:
        logs = kafka(bootstrap, _logs(bootstrap, group))
        first = offset_base(client, base)
        accounts = _accounts(client, logs, first)
        return _with_strangers(client, accounts, first, kafka(bootstrap, end_offsets(bootstrap, INPUTS)))


async def _logs(bootstrap: str, group: str) -> list[PartitionLog]:
    committed = await committed_offsets(bootstrap, group, INPUTS)
    starts = await start_offsets(bootstrap, INPUTS)
    ends = await end_offsets(bootstrap, INPUTS)
    return list(logs_of(starts, ends, committed))


def logs_of(starts: Offsets, ends: Offsets, committed: Offsets) -> Iterable[PartitionLog]:
    """The logs, sorted. The commit of one without a commit is its start."""
    for topic, partition in sorted(ends):
        start, end = starts[topic, partition], ends[topic, partition]
        commit = committed.get((topic, partition))
        yield PartitionLog(
            topic, partition, start, end, min(start if commit is None else commit, end), commit is not None
        )


def _accounts(client: Client, logs: Sequence[PartitionLog], base: int) -> list[Account]:
    spans = {log.place: SequenceRange(base + log.start, base + log.end) for log in logs}
    commits = {log.place: base + max(log.committed, log.start) for log in logs}
    counts = count_places(client, spans, commits)
    losses = _losses(client, logs, base)
    known = {place: clip_ranges(losses[place].known, span.first, commits[place]) for place, span in spans.items()}
    unstored = count_unstored(client, known)
    lost = count_unstored(client, {place: each.open for place, each in losses.items()})
    acknowledged = count_unstored(client, {place: merge_ranges(each.acknowledged) for place, each in losses.items()})
    accounts = []
    for log in logs:
        place, count = log.place, counts[log.place]
        read = SequenceRange(spans[place].first, commits[place])
        missing = read.end - read.first - count.below - unstored[place]
        absent = first_absent(client, place, read, known[place]) if missing else []
        accounts.append(
            Account(
                log,
                stored=count.stored + count.doubled,
                dead=count.dead + count.doubled,
                erased=count.erased,
                waiting=spans[place].end - read.end - count.above,
                missing=missing,
                doubled=count.doubled,
                returned=count.returned,
                strangers=0,
                lost=lost[place],
                acknowledged=acknowledged[place],
                missing_offsets=[sequence - base for sequence in absent],
                lost_ranges=losses[place].open,
            )
        )
    return accounts


def _losses(client: Client, logs: Sequence[PartitionLog], base: int) -> dict[Place, Losses]:
    """What is noted as lost, and what is gone from the start of a log without a commit behind it.

    Where there is no commit, records are unread from the last stored one on.
    """
    noted = read_losses(client)
    unread = {log.place: base + (log.committed if log.has_commit else 0) for log in logs}
    cut_off = [log.place for log in logs if not log.has_commit and log.start]
    starts = {log.place: base + log.start for log in logs}
    stored = highest_stored(client, {place: SequenceRange(0, starts[place]) for place in cut_off})
    found = {}
    for place, start in starts.items():
        found[place] = noted.get(place, Losses())
        first = max(unread[place], stored[place] + 1) if place in stored else unread[place]
        found[place].lost.append(SequenceRange(first, start))
    return found


def _with_strangers(client: Client, accounts: Sequence[Account], base: int, ends: Offsets) -> list[Account]:
    later = {place: SequenceRange(base + end, LAST_SEQUENCE) for place, end in ends.items()}
    strangers = count_different(client, later)
    return [replace(each, strangers=strangers.get(each.log.place, 0)) for each in accounts]

"""Accounts for every record of the input topics: it is stored, dead, erased, or still waits for a worker.

Offsets come from Kafka, rows from ClickHouse. A record below the workers' commits that has no row is missing. One with
two rows is doubled. One that was erased and has a row again has returned: a worker was late, or read it again. A row
above the end of its log is a stranger. A record that Kafka deleted before a worker had read it is lost, until an
operator acknowledges the loss. Each of these is a fault.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from clickhouse_connect.driver.client import Client

from operations.connections import clickhouse, kafka, offset_base
from operations.lost_records import Losses, SequenceRange, clip_ranges, merge_ranges, read_losses
from runtime.kafka_offsets import Offsets, committed_offsets, end_offsets, start_offsets
from schemas.topics import FEEDBACK_EVENTS, INPUTS, REQUEST_LOGS

# Where a record may be, as bits, so that a record in two places is seen. An erased request stays in the journal without
# the person; another query finds whether the person is in it again.
_STORED, _DEAD, _ERASED = 1, 2, 4
_PLACES = f"""
    SELECT if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}') AS topic, kafka_partition, sequence,
        toUInt8({_STORED}) AS place FROM feedback.journal
    UNION ALL SELECT toString(topic), kafka_partition, sequence, toUInt8({_STORED}) FROM feedback.expired_records
    UNION ALL SELECT toString(topic), kafka_partition, sequence, toUInt8({_DEAD}) FROM feedback.dead_letters
    UNION ALL SELECT toString(topic), kafka_partition, sequence, toUInt8({_ERASED}) FROM feedback.erased_records
"""
_COUNTS = f"""
SELECT
    countIf(place = {_STORED}), countIf(place = {_DEAD}), countIf(bitAnd(place, {_ERASED}) != 0),
    countIf(place = {_STORED | _DEAD}),
    countIf(place IN ({_ERASED | _DEAD}, {_ERASED | _DEAD | _STORED})
        OR place = {_ERASED | _STORED} AND {{topic:String}} = '{FEEDBACK_EVENTS}'),
    countIf(sequence < {{commit:UInt64}}), countIf(sequence >= {{commit:UInt64}})
FROM (
    SELECT sequence, groupBitOr(place) AS place FROM ({_PLACES})
    WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}}
        AND sequence >= {{start:UInt64}} AND sequence < {{end:UInt64}}
    GROUP BY sequence
)
"""
_MISSING = f"""
SELECT number FROM numbers({{start:UInt64}}, {{count:UInt64}}) WHERE number NOT IN (
    SELECT sequence FROM ({_PLACES}) WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}}
) AND NOT arrayExists((a, b) -> number >= a AND number < b, {{firsts:Array(UInt64)}}, {{ends:Array(UInt64)}}) LIMIT 5
"""
_FOUND_WITHIN = f"""
SELECT uniqExact(sequence) FROM ({_PLACES})
WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}}
    AND arrayExists((a, b) -> sequence >= a AND sequence < b, {{firsts:Array(UInt64)}}, {{ends:Array(UInt64)}})
"""
_LAST_BELOW = f"""
SELECT maxOrNull(sequence) FROM ({_PLACES})
WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND sequence < {{below:UInt64}}
"""
_RETURNED_REQUESTS = f"""
WITH erased AS (
    SELECT id, entry FROM feedback.journal WHERE kind = 'request' AND kafka_partition = {{partition:UInt16}}
        AND sequence >= {{start:UInt64}} AND sequence < {{end:UInt64}} AND sequence IN (
            SELECT sequence FROM feedback.erased_records
            WHERE topic = '{REQUEST_LOGS}' AND kafka_partition = {{partition:UInt16}}
        )
)
SELECT uniqExactIf(id, JSONHas(entry, 'user') OR id IN (
    SELECT request_id FROM feedback.request_log_rows WHERE request_id IN (SELECT id FROM erased)
)) FROM erased
"""
_STRANGERS = f"""
SELECT uniqExact(sequence) FROM ({_PLACES})
WHERE topic = {{topic:String}} AND kafka_partition = {{partition:UInt16}} AND sequence >= {{end:UInt64}}
"""


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
        known = read_losses(client)
        accounts = [_account(client, log, first, known.get((log.topic, log.partition), Losses())) for log in logs]
        ends = kafka(bootstrap, end_offsets(bootstrap, INPUTS))
        return [_with_strangers(client, each, first, ends) for each in accounts]


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


def _account(client: Client, log: PartitionLog, base: int, losses: Losses) -> Account:
    commit = max(log.committed, log.start)
    bounds = {"start": base + log.start, "end": base + log.end, "commit": base + commit}
    place = {"topic": log.topic, "partition": log.partition}
    stored, dead, erased, doubled, returned, below, above = client.query(_COUNTS, bounds | place).result_rows[0]
    if log.topic == REQUEST_LOGS:
        returned += client.query(_RETURNED_REQUESTS, bounds | place).result_rows[0][0]
    unread = base + log.committed if log.has_commit else _first_unread_sequence(client, log, base)
    losses.lost.append(SequenceRange(unread, base + log.start))
    known_here = clip_ranges(losses.known, base + log.start, base + commit)
    missing = commit - log.start - below - count_unstored(client, log, known_here)
    offsets = []
    if missing:
        wanted = place | {"start": base + log.start, "count": commit - log.start} | _bounds(known_here)
        offsets = [row[0] - base for row in client.query(_MISSING, wanted).result_rows]
    return Account(
        log,
        stored=stored + doubled,
        dead=dead + doubled,
        erased=erased,
        waiting=log.end - commit - above,
        missing=missing,
        doubled=doubled,
        returned=returned,
        strangers=0,
        lost=count_unstored(client, log, losses.open),
        acknowledged=count_unstored(client, log, merge_ranges(losses.acknowledged)),
        missing_offsets=offsets,
        lost_ranges=losses.open,
    )


def count_unstored(client: Client, log: PartitionLog, ranges: Sequence[SequenceRange]) -> int:
    """How many of these sequences have no row anywhere."""
    if not ranges:
        return 0
    query = {"topic": log.topic, "partition": log.partition} | _bounds(ranges)
    found = int(client.query(_FOUND_WITHIN, query).result_rows[0][0])
    return sum(each.end - each.first for each in ranges) - found


def _first_unread_sequence(client: Client, log: PartitionLog, base: int) -> int:
    """The sequence from which on records are unread where there is no commit: after the last stored one."""
    if log.start == 0:
        return base
    query = {"topic": log.topic, "partition": log.partition, "below": base + log.start}
    last = client.query(_LAST_BELOW, query).result_rows[0][0]
    return base if last is None else max(base, int(last) + 1)


def _bounds(ranges: Sequence[SequenceRange]) -> dict[str, list[int]]:
    return {"firsts": [each.first for each in ranges], "ends": [each.end for each in ranges]}


def _with_strangers(client: Client, account: Account, base: int, ends: Offsets) -> Account:
    log = account.log
    end = base + ends[log.topic, log.partition]
    query = {"topic": log.topic, "partition": log.partition, "end": end}
    strangers = int(client.query(_STRANGERS, query).result_rows[0][0])
    return Account(**{**vars(account), "strangers": strangers})

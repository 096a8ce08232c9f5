"""A working table of one comparison: places and digests of the stored rows, ordered by trace hash.

Of the tables only the journal is ordered by trace hash. So each other table is read once, and the places and digests of
its rows are written into a table with that order. Ranges of that table and of the journal are then compared. It has all
versions of a row, because one of two rows of the same version may have to be removed.
"""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.differences import Scope

# ClickHouse's murmur2 for Kafka drops the first bit, as Kafka's partitioner does, so all hashes here lack it.
BITS = 31
HASH = 2**BITS - 1
ENTRIES_AT_ONCE = 100_000
_BUCKETS = 2**16
_PREFIX = "reconcile_"
_KEPT_FOR_DAYS = 7
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}
BY_KEY = {"force_primary_key": 1}
"""Settings of a query for a range: it fails if it would read a whole table, which each range would do again."""
_OF_ID = f"bitAnd(reinterpretAsUInt32(reverse(unhex(substring(toString({{id}}), 25, 8)))), {HASH})"


@dataclass(frozen=True)
class StoredTable:
    """A table whose rows are computed from the journal. `place` and `content` are digests: of the columns of a row that
    never change, and of all columns except the version."""

    name: str
    key: str
    hash: str
    place: str
    content: str
    version: str = "version"
    created_at: str | None = None
    identity: str = ""
    is_last: str = ""
    """SQL for the last row of something that was removed with its trace, which the journal no longer contains."""

    def outlasts(self, part: str) -> str:
        """SQL for whether a row in this partition still exists: it is no such last row, nor older than one."""
        if not self.is_last:
            return "1"
        rows, key = f"feedback.{self.name} WHERE _partition_id = '{part}'", self.identity
        return f"""NOT ({self.is_last}) AND ({key}, version) NOT IN (
            SELECT {key}, version FROM (SELECT {key}, version FROM {rows}) AS rows INNER JOIN (
                SELECT {key}, max(version) AS last FROM {rows} AND {self.is_last} GROUP BY {key}
            ) AS gone USING ({key}) WHERE version < last)"""


FEEDBACK = StoredTable(
    "feedback_rows",
    "concat(workspace::String, '/', toString(feedback_id))",
    _OF_ID.format(id="feedback_id"),
    "cityHash64(home_environment::String, home_organisation, home_prompt, home_user, created_at)",
    "cityHash64(trace_id, value, weight, updated_at, join_state::String, models::Array(String),"
    " providers::Array(String), _user, _organisation, _prompt, _environment::String, metadata, is_deleted)",
    created_at="created_at",
    identity="feedback_id",
    is_last="join_state = 'expired'",
)
AGGREGATES = StoredTable(
    "trace_aggregate_rows",
    "concat(workspace::String, '/', trace_id)",
    "kafkaMurmurHash(concat(workspace::String, '/', trace_id))",
    "toUInt64(0)",
    "cityHash64(feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum, ifNull(value_min, -128),"
    " ifNull(value_max, -128), ifNull(value_last, -128), requests, first_request_day,"
    " last_request_day, updated_at)",
    identity="workspace, trace_id",
    is_last="is_expired",
)
REQUESTS = StoredTable(
    "request_log_rows",
    "toString(request_id)",
    _OF_ID.format(id="request_id"),
    "cityHash64(workspace::String, trace_id, toUnixTimestamp64Milli(started_at))",
    "cityHash64(provider::String, model::String, _user, _organisation, _prompt, _environment::String)",
    "sequence",
)


@dataclass(frozen=True)
class HashRange:
    """A range of trace hashes without their first bit, both ends included. `rows` counts its entries and rows."""

    low: int
    high: int
    rows: int

    @property
    def of_journal(self) -> str:
        """The same range in the journal, whose hashes have their first bit."""
        second = f"trace_hash BETWEEN {self.low + 2**BITS} AND {self.high + 2**BITS}"
        return f"(trace_hash BETWEEN {self.low} AND {self.high} OR {second})"

    @property
    def of_snapshot(self) -> str:
        return f"trace_hash BETWEEN {self.low} AND {self.high}"


@dataclass(frozen=True)
class Snapshot:
    """The working table. `hashes` names the table with the trace hashes that a second check compares; None: all."""

    client: Client
    name: str
    hashes: str | None

    @property
    def of_journal(self) -> str:
        """SQL for the entries of the journal that are compared."""
        return f"bitAnd(trace_hash, {HASH}) IN (SELECT h FROM {self.hashes})" if self.hashes else "1"

    def entries_in(self, hash_range: HashRange) -> str:
        """SQL for those of a range, which reads nothing outside of it."""
        if not self.hashes:
            return hash_range.of_journal
        hashes = f"SELECT h FROM {self.hashes} WHERE h BETWEEN {hash_range.low} AND {hash_range.high}"
        return f"{hash_range.of_journal} AND bitAnd(trace_hash, {HASH}) IN ({hashes})"

    def fill(self, stored: StoredTable, scope: Scope, progress: Progress) -> None:
        """Read a table once, partition by partition."""
        parts = partitions(self.client, stored.name)
        is_compared = f"{stored.hash} IN (SELECT h FROM {self.hashes})" if self.hashes else "1"
        with progress.step(f"rows of {stored.name} read", sum(rows for _, rows in parts)) as advance:
            for part, rows in parts:
                self.client.command(
                    f"INSERT INTO {self.name} SELECT '{stored.name}', {stored.hash}, {stored.key}, {stored.place},"
                    f" {stored.version}, {stored.content} FROM feedback.{stored.name}"
                    f" WHERE _partition_id = '{part}' AND {scope.condition(stored.created_at)} AND {is_compared}"
                    f" AND {stored.outlasts(part)}",
                    parameters=scope.parameters,
                    settings=SETTINGS,
                )
                advance(rows)

    def ranges(self) -> Iterator[HashRange]:
        """All hashes, in ranges whose entries and rows fit into memory, or of a single bucket."""
        width = 2**BITS // _BUCKETS
        counted = self.client.query(f"""
            SELECT intDiv(hash, {width}) AS bucket, count() FROM (
                SELECT bitAnd(trace_hash, {HASH}) AS hash FROM feedback.journal WHERE {self.of_journal}
                UNION ALL SELECT trace_hash FROM {self.name}
            ) GROUP BY bucket ORDER BY bucket""").result_rows
        low = rows = 0
        for bucket, number in counted:
            rows += number
            if rows >= ENTRIES_AT_ONCE:
                yield HashRange(low, (bucket + 1) * width - 1, rows)
                low, rows = (bucket + 1) * width, 0
        if rows:
            yield HashRange(low, 2**BITS - 1, rows)


@contextmanager
def new_snapshot(client: Client, hashes: frozenset[int] | None = None) -> Iterator[Snapshot]:
    """An empty snapshot, for all trace hashes or for these."""
    columns = "name LowCardinality(String), trace_hash UInt32, key String, place UInt64, version UInt64, content UInt64"
    with working_table(client, columns, "(trace_hash, name, key)") as name, ExitStack() as entered:
        hashes_table = None
        if hashes is not None:
            hashes_table = entered.enter_context(working_table(client, "h UInt32", "h"))
            client.insert_arrow(hashes_table, pa.table({"h": pa.array(sorted(hashes), pa.uint32())}), settings=SETTINGS)
        yield Snapshot(client, name, hashes_table)


@contextmanager
def working_table(client: Client, columns: str, order: str) -> Iterator[str]:
    """The name of a new table, which is dropped at the end. Tables that a killed comparison left are dropped first."""
    left = client.query(
        f"SELECT name FROM system.tables WHERE database = 'feedback' AND startsWith(name, '{_PREFIX}')"
        f" AND metadata_modification_time < now() - INTERVAL {_KEPT_FOR_DAYS} DAY"
    ).result_rows
    for (old,) in left:
        _drop(client, f"feedback.{old}")
    name = f"feedback.{_PREFIX}{uuid.uuid4().hex}"
    try:
        client.command(
            f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY {order} SETTINGS index_granularity = 512"
            " COMMENT 'Working table of `feedback reconcile`, which drops it in the end'"
        )
        yield name
    finally:
        _drop(client, name)


def partitions(client: Client, table: str) -> list[tuple[str, int]]:
    """The partitions of a table and their numbers of rows."""
    query = f"SELECT _partition_id, count() FROM feedback.{table} GROUP BY _partition_id ORDER BY _partition_id"
    return [(name, int(rows)) for name, rows in client.query(query).result_rows]


def _drop(client: Client, name: str) -> None:
    client.command(f"DROP TABLE IF EXISTS {name} SYNC SETTINGS max_table_size_to_drop = 0")

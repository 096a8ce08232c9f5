"""Rows and aggregates compared with the fold of the journal, a range of trace hashes at a time.

The stored rows of a range are read before its journal is. What is stored follows from what was in the journal already,
so a row that the journal does not account for is a fault at first sight, while one that lags may be on its way.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from deploy.differences import Difference, Pause, Scope, lasting
from deploy.retention import days_in_force
from schemas.topics import REQUEST_LOGS
from stream_workers.join import Changes
from stream_workers.lookup import AS_ONE_DOCUMENT, JournalAnswer, entries_query
from stream_workers.rows import tables
from stream_workers.snapshots import of_feedback, of_traces

_ENTRIES_AT_ONCE = 100_000
_DELETED_AT_ONCE = 500
# ClickHouse's murmur2 of Kafka drops the first bit, as Kafka's partitioner does: so all hashes here do.
_BITS = 31
_HASH_OF_ID = "bitAnd(reinterpretAsUInt32(reverse(unhex(substring(toString({id}), 25, 8)))), 2147483647)"
_UNKNOWN = "that the journal does not account for"
_KINDS = ("missing", "wrong", _UNKNOWN)
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}
Row = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Trace hashes without their first bit, both ends included."""

    low: int
    high: int

    def condition(self, hash_of: str) -> str:
        return f"{hash_of} BETWEEN {self.low} AND {self.high}"


@dataclass(frozen=True)
class _Table:
    """A table whose rows follow from the journal. `hash_of` is computed from columns of its sort key."""

    name: str
    key: str
    hash_of: str
    created_at: str | None


_TABLES = (
    _Table("feedback_rows", "feedback_id", _HASH_OF_ID.format(id="feedback_id"), "created_at"),
    _Table("trace_aggregate_rows", "trace_id", "kafkaMurmurHash(concat(workspace, '/', trace_id))", None),
)


@dataclass(frozen=True)
class _Fault:
    """What should be stored, one row or nothing, and whether what is stored must go first."""

    table: _Table
    kind: str
    wanted: pa.Table | None = None
    must_go: bool = False


def against_journal(
    client: Client, scope: Scope, pause: Pause, *, repair: bool, remove: bool, say: Callable[[str], None]
) -> list[Difference]:
    """The differences. With `repair`, what is missing or wrong is written; with `remove` as well, what the journal does
    not account for is removed. `say` is told of progress. Raises what the client raises.
    """
    if days := _kept_for(client, "journal", *(table.name for table in _TABLES)):
        say(
            f"Rows are not compared with the journal: it or they are kept for {days} days only, and what has expired in"
            " one of them would look like a fault in the other."
        )
        return []
    found = {f"{table.name} {kind}": Difference(f"{table.name} {kind}") for table in _TABLES for kind in _KINDS}
    ranges = list(_ranges(client))
    for number, part in enumerate(ranges, 1):
        faults = lasting(partial(_faults, client, scope, part), pause)
        for (_, key), fault in faults.items():
            found[f"{fault.table.name} {fault.kind}"].keys.append(key)
        if repair:
            for table in _TABLES:
                _mend(client, part, table, {key: each for (name, key), each in faults.items() if name == table}, remove)
        if number % 10 == 0 or number == len(ranges):
            say(f"{number} of {len(ranges)} parts of the journal compared")
    return list(found.values())


def requests_without_rows(client: Client, scope: Scope, pause: Pause) -> Difference:
    """Requests that are in the journal and not stored: they come back when their records are read again."""
    days = _kept_for(client, "request_log_rows")
    since = f"toUnixTimestamp64Milli(now64(3) - INTERVAL {days} DAY)" if days else "0"

    bounds = scope.condition("recorded_at").replace("workspace", "JSONExtractString(entry, 'workspace')", 1)

    def look(part: Range) -> dict[str, tuple[Hashable, None]]:
        query = f"""
            SELECT DISTINCT toString(id) FROM feedback.journal
            WHERE kind = 'request' AND {part.condition("bitAnd(trace_hash, 2147483647)")} AND {bounds}
                AND JSONExtractInt(entry, 'started_at') >= {since}
                AND id NOT IN (
                    SELECT request_id FROM feedback.request_log_rows
                    WHERE {part.condition(_HASH_OF_ID.format(id="request_id"))})
                AND (kafka_partition, sequence) NOT IN (
                    SELECT kafka_partition, sequence FROM feedback.erased_records WHERE topic = '{REQUEST_LOGS}')
        """
        return {row[0]: (None, None) for row in client.query(query, scope.parameters).result_rows}

    missing = [key for part in _ranges(client) for key in lasting(partial(look, part), pause)]
    return Difference("request_log_rows missing (their bodies are in Kafka alone)", missing)


def _kept_for(client: Client, *names: str) -> int | None:
    return min((days for name in names if (days := days_in_force(client, name)) is not None), default=None)


def _ranges(client: Client) -> Iterator[Range]:
    """All hashes, in ranges of so many entries as are held in memory at once."""
    entries = int(client.query("SELECT count() FROM feedback.journal").result_rows[0][0])
    parts = max(1, -(-entries // _ENTRIES_AT_ONCE))
    for low, following in pairwise(2**_BITS * n // parts for n in range(parts + 1)):
        yield Range(low, following - 1)


def _faults(client: Client, scope: Scope, part: Range) -> dict[tuple[_Table, str], tuple[Hashable, _Fault]]:
    """By table and key what is stored and should not be so, or should be and is not; marked by the versions of both."""
    stored = {table: _stored(client, scope, part, table) for table in _TABLES}
    expected = _expected(client, scope, part)
    faults: dict[tuple[_Table, str], tuple[Hashable, _Fault]] = {}
    for table, rows in stored.items():
        unknown = dict(rows)
        wanted: Any = expected.get(table.name)
        for number, row in enumerate([] if wanted is None else wanted.to_pylist()):
            key = _key(table, row)
            found = unknown.pop(key, [])
            if kind := _kind(row, found):
                fault = _Fault(table, kind, wanted.slice(number, 1), must_go=kind == _UNKNOWN)
                faults[table, key] = (row["version"], *(each["version"] for each in found)), fault
        if table.created_at is not None or scope.is_all_time:
            faults |= {(table, key): (None, _Fault(table, _UNKNOWN, must_go=True)) for key in unknown}
    return faults


def _kind(wanted: Row, stored: list[Row]) -> str | None:
    """What is wrong with what is stored, if anything."""
    if not stored:
        return None if wanted.get("is_deleted") else "missing"
    if len(stored) > 1 or stored[0]["version"] > wanted["version"]:
        return _UNKNOWN
    return None if _content({name: stored[0][name] for name in wanted}) == _content(wanted) else "wrong"


def _content(row: Row) -> Row:
    """All that a row says. A request that changes nothing else about its trace's feedback does not rewrite it, so the
    part of the version that counts requests may lag behind."""
    return {**row, "version": row["version"] >> 16}


def _key(table: _Table, row: Row) -> str:
    return f"{row['workspace']}/{row[table.key]}"


def _stored(client: Client, scope: Scope, part: Range, table: _Table) -> dict[str, list[Row]]:
    """By key the rows that stand: more than one where they have different places."""
    found = client.query_arrow(
        f"SELECT * REPLACE (toString({table.key}) AS {table.key}) FROM ("
        f"SELECT * FROM feedback.{table.name} FINAL PREWHERE {part.condition(table.hash_of)}"
        f" WHERE {scope.condition(table.created_at)})",
        parameters=scope.parameters,
        settings={"output_format_arrow_string_as_string": 1, "output_format_arrow_low_cardinality_as_dictionary": 0},
    )
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in found.to_pylist():
        rows[_key(table, row)].append(row)
    return rows


def _expected(client: Client, scope: Scope, part: Range) -> dict[str, pa.Table]:
    """The rows of each table that the journal amounts to."""
    second = f"trace_hash BETWEEN {part.low + 2**_BITS} AND {part.high + 2**_BITS}"
    document = client.raw_query(
        entries_query(f"{part.condition('trace_hash')} OR {second}"), settings=AS_ONE_DOCUMENT, fmt="CustomSeparated"
    )
    feedback = [
        (trace, each)
        for bucket in JournalAnswer(document).all().values()
        for trace in bucket.traces
        for each in trace.feedback()
        if scope.holds(trace.workspace, each.created_at)
    ]
    traces = {id(trace): trace for trace, _ in feedback}
    found = tables(Changes(feedback=of_feedback(feedback), traces=of_traces(traces.values())))
    return {name: rows.cast(_as_text(rows.schema)) for name, rows in found.items()}


def _as_text(schema: pa.Schema) -> pa.Schema:
    """The schema with text where it has bytes, as ClickHouse's answer has it."""
    return pa.schema([(each.name, pa.string() if pa.types.is_binary(each.type) else each.type) for each in schema])


def _mend(client: Client, part: Range, table: _Table, faults: dict[str, _Fault], remove: bool) -> None:
    """Write what is wanted: as versions are functions of the events, it replaces what is stored or is outdone by what
    has come since. Only what the journal does not account for has to be removed before."""
    doomed = [key for key, fault in faults.items() if fault.must_go and remove]
    for first in range(0, len(doomed), _DELETED_AT_ONCE):
        client.command(
            f"ALTER TABLE feedback.{table.name} DELETE WHERE {part.condition(table.hash_of)}"
            f" AND concat(workspace, '/', toString({table.key})) IN {{keys:Array(String)}}",
            parameters={"keys": doomed[first : first + _DELETED_AT_ONCE]},
            settings={"mutations_sync": 2},
        )
    wanted = [fault.wanted for fault in faults.values() if fault.wanted is not None and (remove or not fault.must_go)]
    if wanted:
        rows = pa.concat_tables(wanted).combine_chunks()
        client.insert_arrow(f"feedback.{table.name}", rows, settings=_SETTINGS)

"""Compares one range of trace hashes: the stored rows with the rows computed from the journal."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from operations.reconcile.differences import Scope
from operations.reconcile.lost_places import JournalCoverage
from operations.reconcile.snapshot import AGGREGATES, BY_KEY, FEEDBACK, HASH, HashRange, Snapshot, StoredTable
from operations.reconcile.verdict import UNKNOWN, Evidence, Row, Verdict, is_as_wanted, judge
from stream_workers.io.arrow_rows import tables
from stream_workers.io.lookup import AS_ONE_DOCUMENT, JournalStates, entries_query
from stream_workers.join.changes import Changes
from stream_workers.join.feedback import FeedbackState
from stream_workers.join.snapshots import feedback_snapshots, trace_snapshots
from stream_workers.join.trace_state import TraceState

# The columns of rows in Arrow, as the digests of snapshot.py need them.
_STRUCTURES = {
    FEEDBACK: (
        "workspace String, feedback_id String, trace_id String, value Int8, weight Decimal(18, 9),"
        " created_at DateTime64(3, 'UTC'), updated_at DateTime64(3, 'UTC'), join_state String,"
        " models Array(String), providers Array(String), _user String, _organisation String, _prompt String,"
        " _environment String, metadata String, home_user String, home_organisation String, home_prompt String,"
        " home_environment String, version UInt64, is_deleted UInt8"
    ),
    AGGREGATES: (
        "workspace String, trace_id String, feedback_count UInt32, weight_sum Decimal(38, 9),"
        " value_weight_sum Decimal(38, 9), weight_value_squared_sum Decimal(38, 9), value_min Nullable(Int8),"
        " value_max Nullable(Int8), value_last Nullable(Int8), requests UInt32,"
        " first_request_day Date, last_request_day Date, updated_at DateTime64(3, 'UTC'),"
        " version UInt64, is_expired UInt8"
    ),
}
Place = tuple[StoredTable, str]
"""A table, and the key of a row in it."""


class StoredRows(list[Row]):
    """The stored rows under one key."""

    def __init__(self, trace_hash: int) -> None:
        super().__init__()
        self.trace_hash = trace_hash


_Stored = dict[StoredTable, dict[str, StoredRows]]


@dataclass(frozen=True)
class Fault:
    """A fault under one key: the stored rows, and the row that should be stored, if any."""

    trace_hash: int
    verdict: Verdict
    stored: tuple[Row, ...]
    wanted: pa.Table | None = None

    @property
    def fingerprint(self) -> object:
        """A value that changes while workers still change the row: the newest stored version and the wanted one."""
        newest = max((row.version for row in self.stored), default=None)
        return newest, None if self.wanted is None else self.wanted["version"][0].as_py()


@dataclass(frozen=True)
class _Wanted:
    """The rows of one table that the journal yields; and for each its key, digests, trace hash and trace."""

    rows: pa.Table
    keys: list[str]
    digests: list[Row]
    hashes: list[int]
    traces: list[TraceState]

    def is_deleted(self, number: int) -> bool:
        return "is_deleted" in self.rows.column_names and self.rows["is_deleted"][number].as_py() == 1


def faults_in(
    client: Client, scope: Scope, snapshot: Snapshot, hash_range: HashRange, coverage: Callable[[], JournalCoverage]
) -> dict[Place, Fault]:
    """The faults in a range. `coverage` is called where there are any. Raises what the client raises."""
    stored = _read_stored(client, snapshot, hash_range)
    entries = snapshot.entries_in(hash_range)
    wanted = dict(_read_wanted(client, scope, entries))
    wrong = {table: _wrong_rows(each, stored[table]) for table, each in wanted.items()}
    unknown = {table: stored[table].keys() - set(each.keys) for table, each in wanted.items()}
    if not scope.is_all_time:
        unknown[AGGREGATES] = set()  # they may be of feedback at other times
    if not any(wrong.values()) and not any(unknown.values()):
        return {}
    own_places = _read_own_places(client, entries, stored, wanted, wrong)
    return dict(
        _judge_faults(stored, wanted, wrong, unknown, _read_partitions(client, entries), own_places, coverage())
    )


def _judge_faults(
    stored: _Stored,
    wanted: dict[StoredTable, _Wanted],
    wrong: dict[StoredTable, list[int]],
    unknown: dict[StoredTable, set[str]],
    partitions: dict[int, int],
    own_places: dict[int, set[int]],
    coverage: JournalCoverage,
) -> Iterator[tuple[Place, Fault]]:
    confirmed_until = _confirmed_places(wanted[AGGREGATES], stored[AGGREGATES])
    suspects: set[int] = set()
    for table in (FEEDBACK, AGGREGATES):
        rows, each = stored[table], wanted[table]
        for key in unknown[table]:
            found = rows[key]
            suspects.add(found.trace_hash)
            yield (table, key), Fault(found.trace_hash, Verdict(UNKNOWN, tuple(found), writes=False), tuple(found))
        for number in wrong[table]:
            key, trace_hash, trace = each.keys[number], each.hashes[number], each.traces[number]
            is_feedback = table is FEEDBACK
            evidence = Evidence(
                coverage,
                partitions[trace_hash],
                own_places.get(trace_hash, ()),
                confirmed_until.get(id(trace)) if is_feedback else None,
                not is_feedback and trace_hash in suspects,
            )
            found = rows.get(key, StoredRows(trace_hash))
            verdict = judge(each.digests[number], found, evidence)
            if verdict.kind == UNKNOWN:
                suspects.add(trace_hash)
            yield (table, key), Fault(trace_hash, verdict, tuple(found), each.rows.slice(number, 1))


def _confirmed_places(wanted: _Wanted, stored: dict[str, StoredRows]) -> dict[int, int]:
    """For each trace whose aggregate is stored exactly as it should be: the place of its last event, by identity."""
    found = {}
    for key, row, trace in zip(wanted.keys, wanted.digests, wanted.traces, strict=True):
        rows = stored.get(key, ())
        newest = max((each.version for each in rows), default=None)
        if newest == row.version and all(each == row for each in rows if each.version == newest):
            found[id(trace)] = row.sequence
    return found


def _wrong_rows(wanted: _Wanted, stored: dict[str, StoredRows]) -> list[int]:
    return [
        number
        for number, (key, row) in enumerate(zip(wanted.keys, wanted.digests, strict=True))
        if not is_as_wanted(row, stored.get(key, ()), is_deleted=wanted.is_deleted(number))
    ]


def _read_stored(client: Client, snapshot: Snapshot, hash_range: HashRange) -> _Stored:
    names = ("name", "key", "trace_hash", "place", "version", "content")
    rows = client.query_arrow(
        f"SELECT name::String AS name, key, trace_hash, place, version, content FROM {snapshot.name}"
        f" WHERE {hash_range.of_snapshot}",
        settings={"output_format_arrow_string_as_string": 1, **BY_KEY},
    )
    tables_by_name = {table.name: table for table in (FEEDBACK, AGGREGATES)}
    found: _Stored = {table: {} for table in tables_by_name.values()}
    for name, key, trace_hash, *row in zip(*(rows[each].to_pylist() for each in names), strict=True):
        found[tables_by_name[name]].setdefault(key, StoredRows(trace_hash)).append(Row(*row))
    return found


def _read_own_places(
    client: Client,
    entries: str,
    stored: _Stored,
    wanted: dict[StoredTable, _Wanted],
    wrong: dict[StoredTable, list[int]],
) -> dict[int, set[int]]:
    """By trace hash: the places that a wrong row refers to and where the journal has an event of that hash."""
    referred = {
        (each.hashes[number], row.sequence)
        for table, each in wanted.items()
        for number in wrong[table]
        for row in stored[table].get(each.keys[number], ())
        if row.sequence > each.digests[number].sequence
    }
    own: dict[int, set[int]] = defaultdict(set)
    if referred:
        data = "".join(f"{trace_hash}\t{place}\n" for trace_hash, place in referred).encode()
        asked = ExternalData(file_name="referred", data=data, fmt="TSV", structure=["h UInt32", "s UInt64"])
        hash_of = f"bitAnd(trace_hash, {HASH})"
        found = client.query(
            f"SELECT {hash_of}, sequence FROM feedback.journal WHERE {entries} AND kind = 'feedback'"
            f" AND ({hash_of}, sequence) IN (SELECT h, s FROM referred)",
            external_data=asked,
            settings=BY_KEY,
        )
        for trace_hash, place in found.result_rows:
            own[trace_hash].add(place)
    return own


def _read_partitions(client: Client, entries: str) -> dict[int, int]:
    """The partition of each trace hash."""
    found = client.query(
        f"SELECT DISTINCT bitAnd(trace_hash, {HASH}), kafka_partition FROM feedback.journal WHERE {entries}",
        settings=BY_KEY,
    ).result_rows
    return {int(row[0]): int(row[1]) for row in found}


def _read_wanted(client: Client, scope: Scope, entries: str) -> Iterator[tuple[StoredTable, _Wanted]]:
    """Compute the wanted rows from the journal's entries of a range."""
    document = client.raw_query(entries_query(entries), settings={**AS_ONE_DOCUMENT, **BY_KEY}, fmt="CustomSeparated")
    feedback: list[tuple[TraceState, FeedbackState]] = []
    hashes: dict[int, int] = {}
    for trace_hash, bucket in JournalStates(document).all().items():
        for trace in bucket.traces:
            hashes[id(trace)] = trace_hash & HASH
            feedback += [(trace, each) for each in trace.feedback() if scope.holds(trace.workspace, each.created_at)]
    traces = list({id(trace): trace for trace, _ in feedback}.values())
    snapshots = Changes(feedback=feedback_snapshots(feedback), traces=trace_snapshots(traces))
    rows = tables(snapshots)
    for table, of_rows in ((FEEDBACK, [trace for trace, _ in feedback]), (AGGREGATES, traces)):
        keyed = _digests(client, table, rows[table.name]) if of_rows else []
        keys, digests = [key for key, _ in keyed], [row for _, row in keyed]
        trace_hashes = [hashes[id(trace)] for trace in of_rows]
        yield table, _Wanted(rows.get(table.name, pa.table({})), keys, digests, trace_hashes, of_rows)


def _digests(client: Client, table: StoredTable, rows: pa.Table) -> list[tuple[str, Row]]:
    """Key and digests of rows, in their order, computed by ClickHouse, which also computes those of stored rows."""
    sent = pa.BufferOutputStream()
    numbered = rows.append_column("number", pa.array(range(len(rows)), pa.uint32()))
    with pa.ipc.new_stream(sent, numbered.schema) as writer:
        writer.write_table(numbered)
    data = ExternalData(
        file_name="wanted",
        data=sent.getvalue().to_pybytes(),
        fmt="ArrowStream",
        structure=[*_STRUCTURES[table].split(", "), "number UInt32"],
    )
    found = client.query(
        f"SELECT {table.key}, {table.place}, {table.version}, {table.content} FROM wanted ORDER BY number",
        external_data=data,
    )
    return [(key, Row(*row)) for key, *row in found.result_rows]

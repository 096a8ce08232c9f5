"""Rows and aggregates compared with the fold of the journal, in parts that fit into memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from deploy.differences import Difference, Pause, lasting
from stream_workers.join import Changes
from stream_workers.lookup import AS_ONE_DOCUMENT, entries_query, fold_document
from stream_workers.rows import tables
from stream_workers.snapshots import of_feedback, of_traces

_ENTRIES_AT_ONCE = 100_000
# ClickHouse's murmur2 of Kafka drops the first bit, as Kafka's partitioner does: so all hashes here do.
_BITS = 31
_HASH_OF_ID = "bitAnd(reinterpretAsUInt32(reverse(unhex(substring(toString(feedback_id), 25, 8)))), 2147483647)"
_HASH_OF_TRACE = "kafkaMurmurHash(concat(workspace, '/', trace_id))"


def against_journal(client: Client, repair: bool, say: Callable[[str], None], pause: Pause) -> Iterable[Difference]:
    found = {
        (table, kind): Difference(f"{table} {kind}")
        for table in ("feedback_rows", "trace_aggregate_rows")
        for kind in ("missing", "wrong", "that the journal does not know")
    }
    ranges = list(_ranges(client))
    for number, (low, high) in enumerate(ranges, 1):
        for table, hash_of, key in (
            ("feedback_rows", _HASH_OF_ID, "feedback_id"),
            ("trace_aggregate_rows", _HASH_OF_TRACE, "trace_id"),
        ):
            differing = _differing(client, table, hash_of, key, low, high)
            if differing:
                pause(2)
                again = _differing(client, table, hash_of, key, low, high)
                differing = {place: row for place, row in again.items() if place in differing}
            for (kind, identity), _ in differing.items():
                found[table, kind].keys.append(identity)
            if repair and differing:
                _repair(client, table, hash_of, key, low, high, differing)
        if number % 10 == 0 or number == len(ranges):
            say(f"{number} of {len(ranges)} parts of the journal compared")
    return found.values()


def _ranges(client: Client) -> Iterator[tuple[int, int]]:
    """Ranges of trace hashes of 31 bits, both ends included, each of so many entries as are held in memory at once."""
    entries = int(client.query("SELECT count() FROM feedback.trace_journal").result_rows[0][0])
    parts = max(1, -(-entries // _ENTRIES_AT_ONCE))
    bounds = [2**_BITS * n // parts for n in range(parts + 1)]
    for low, following in pairwise(bounds):
        yield low, following - 1


def _expected(client: Client, table: str, low: int, high: int) -> pa.Table | None:
    """The rows of a table that the journal amounts to; None where there are none."""
    document = client.raw_query(
        entries_query(
            "trace_hash BETWEEN {low:UInt32} AND {high:UInt32}"
            " OR trace_hash BETWEEN {low:UInt32} + 2147483648 AND {high:UInt32} + 2147483648"
        ),
        parameters={"low": low, "high": high},
        settings=AS_ONE_DOCUMENT,
        fmt="CustomSeparated",
    )
    traces = [trace for bucket in fold_document(document).values() for trace in bucket.traces.values()]
    with_feedback = [trace for trace in traces if trace.feedback]
    feedback = [(trace, each) for trace in with_feedback for each in trace.feedback.values()]
    changes = Changes([], [], of_feedback(feedback), of_traces(with_feedback), {}, [])
    return tables(changes, []).get(table)


def _differing(
    client: Client, table: str, hash_of: str, key: str, low: int, high: int
) -> dict[tuple[str, str], dict[str, Any] | None]:
    """By kind and key, what should be stored; None for what should not."""
    expected = _expected(client, table, low, high)
    wanted = {} if expected is None else {_key(row, key): row for row in expected.to_pylist()}
    stored = _stored(client, table, hash_of, key, low, high, expected)
    differing: dict[tuple[str, str], dict[str, Any] | None] = {}
    for identity, row in wanted.items():
        if identity not in stored:
            differing["missing", identity] = row
        elif any(_content(each) != _content(row) for each in stored[identity]):
            differing["wrong", identity] = row
    for identity in stored.keys() - wanted.keys():
        differing["that the journal does not know", identity] = None
    return differing


def _stored(
    client: Client, table: str, hash_of: str, key: str, low: int, high: int, like: pa.Table | None
) -> dict[str, list[dict[str, Any]]]:
    """By key the row of the highest version, or several where they contradict one another."""
    columns = like.column_names if like is not None else ["workspace", key]
    selected = ", ".join("toString(feedback_id) AS feedback_id" if name == "feedback_id" else name for name in columns)
    query = (
        f"SELECT DISTINCT {selected} FROM (SELECT * FROM feedback.{table} AS r"
        f" WHERE {hash_of.replace('feedback_id', 'r.feedback_id')} BETWEEN {low} AND {high}"
        f" QUALIFY version = max(version) OVER (PARTITION BY workspace, {key}))"
    )
    found = client.query_arrow(query)
    if like is not None:
        found = found.cast(like.schema)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in found.to_pylist():
        rows[_key(row, key)].append(row)
    return rows


def _content(row: dict[str, Any]) -> dict[str, Any]:
    """All that a row says. A request that changes nothing else about its trace's feedback does not rewrite it, so the
    part of the version that counts requests may lag behind."""
    return {**row, "version": row["version"] >> 16}


def _key(row: dict[str, Any], key: str) -> str:
    value = row[key]
    return f"{row['workspace']}/{value.decode() if isinstance(value, bytes) else value}"


def _repair(
    client: Client,
    table: str,
    hash_of: str,
    key: str,
    low: int,
    high: int,
    differing: dict[tuple[str, str], dict[str, Any] | None],
) -> None:
    """Remove all versions of what differs, and write what the journal says."""
    places = [identity for _, identity in differing]
    client.command(
        f"ALTER TABLE feedback.{table} DELETE WHERE {hash_of} BETWEEN {low} AND {high}"
        f" AND concat(workspace, '/', toString({key})) IN {{places:Array(String)}} SETTINGS mutations_sync = 2",
        parameters={"places": places},
    )
    expected = _expected(client, table, low, high)
    if expected is not None:
        chosen = [row for row in expected.to_pylist() if _key(row, key) in set(places)]
        if chosen:
            client.insert_arrow(f"feedback.{table}", pa.Table.from_pylist(chosen, schema=expected.schema))


def requests_without_rows(client: Client, pause: Pause) -> list[Difference]:
    """Requests that are in the journal and not stored: they come back when their records are read again."""
    query = (
        "SELECT DISTINCT toString(id) FROM feedback.trace_journal WHERE kind = 'request'"
        " AND id NOT IN (SELECT request_id FROM feedback.request_log_rows)"
    )
    return [lasting(client, "request_log_rows missing (their bodies are in Kafka alone)", query, pause)]

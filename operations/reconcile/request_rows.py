"""Compares the rows of requests with the journal: requests without a row, and rows without a request.

A row never changes, so it is right where the journal has its request at its place, which is its workspace, trace and
start, with its facts. A row at its place with other facts is wrong: it is written again with those of the journal. A
row elsewhere is wrong if the right one is stored as well. Otherwise the journal may have lost the request.
"""

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from operations.progress import Progress
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.reconcile.hash_range import Fault, Place
from operations.reconcile.journal import Repair, stable_faults
from operations.reconcile.snapshot import (
    BY_KEY,
    HASH,
    REQUESTS,
    SETTINGS,
    HashRange,
    Snapshot,
    new_snapshot,
    working_table,
)
from operations.reconcile.verdict import MISSING, UNKNOWN, WRONG, Row, Verdict
from schemas.topics import REQUEST_LOGS

_FACTS = {"provider": "provider", "model": "model", "_user": "user", "_organisation": "organisation"}
_FACTS |= {"_prompt": "prompt", "_environment": "environment"}
"""The columns of a row that its entry in the journal has as well, and their names there."""
_TYPES = f"workspace String, trace_id String, started_at Int64, {' String, '.join(_FACTS.values())} String"
_READ = f"JSONExtract(entry, 'Tuple({_TYPES})')"
_PLACE = "cityHash64(told.workspace, told.trace_id, told.started_at)"
_CONTENT = f"cityHash64({', '.join(f'told.{name}' for name in _FACTS.values())})"
"""The digests of a row's place and facts, as `snapshot.REQUESTS` makes them, from its entry in the journal."""


def compare_request_rows(
    client: Client, scope: Scope, pause: Pause, progress: Progress, *, repair: bool, remove: bool
) -> list[RowDifference]:
    """The differences. Missing rows are stored when their records are read again. `repair` removes wrong rows;
    `remove` also those that the journal does not account for. Raises what the client raises.
    """
    found = {
        MISSING: RowDifference("request_log_rows missing (their bodies are in Kafka alone)"),
        WRONG: RowDifference(f"request_log_rows {WRONG}"),
        UNKNOWN: RowDifference(f"request_log_rows {UNKNOWN}"),
    }

    def compare(hashes: frozenset[int] | None) -> Iterator[dict[Place, Fault]]:
        with new_snapshot(client, hashes) as snapshot:
            snapshot.fill(REQUESTS, Scope(), progress)
            for hash_range in progress.track("rows and journal entries compared", snapshot.ranges()):
                compared = (client, scope, snapshot, hash_range)
                yield _requests_without_row(*compared) | _rows_without_request(*compared)

    for faults in stable_faults(compare, pause):
        repaired, of_other_facts = Repair(REQUESTS), []
        for (_, key), fault in faults:
            kind, identity = fault.verdict.kind, key.partition(" ")[0]
            found[kind].add([identity])
            if kind != MISSING and repair and (remove or kind == WRONG):
                repaired.add(identity, fault)
                of_other_facts += [identity] * fault.verdict.writes
        _write_with_facts(client, of_other_facts)
        repaired.carry_out(client, progress)
    return list(found.values())


def _requests_without_row(
    client: Client, scope: Scope, snapshot: Snapshot, hash_range: HashRange
) -> dict[Place, Fault]:
    """Requests in the journal without a row."""
    bounds = scope.condition("recorded_at").replace("workspace", "JSONExtractString(entry, 'workspace')", 1)
    query = f"""
        SELECT DISTINCT toString(id), bitAnd(trace_hash, {HASH}), kafka_partition, sequence
        FROM feedback.journal
        WHERE kind = 'request' AND {snapshot.entries_in(hash_range)} AND {bounds}
            AND trace_hash NOT IN (SELECT trace_hash {_expiries(snapshot, hash_range)})
            AND toString(id) NOT IN (SELECT key FROM {snapshot.name} WHERE {hash_range.of_snapshot})"""
    missing = client.query(query, scope.parameters, settings=BY_KEY).result_rows
    erased = _erased_places(client, [(partition, sequence) for _, _, partition, sequence in missing])
    return {
        (REQUESTS, key): Fault(trace_hash, Verdict(MISSING, (), writes=False), ())
        for key, trace_hash, *place in missing
        if tuple(place) not in erased
    }


def _rows_without_request(
    client: Client, scope: Scope, snapshot: Snapshot, hash_range: HashRange
) -> dict[Place, Fault]:
    """Rows at whose place the journal has no request with their facts."""
    entries = (
        f"FROM (SELECT toString(id) AS key, {_READ} AS told FROM feedback.journal"
        f" WHERE kind = 'request' AND {snapshot.entries_in(hash_range)})"
    )
    has_request = f"(key, place, content) IN (SELECT key, {_PLACE}, {_CONTENT} {entries})"
    is_expired = f"trace_hash IN (SELECT bitAnd(trace_hash, {HASH}) {_expiries(snapshot, hash_range)})"
    rows = f"FROM {snapshot.name} WHERE {hash_range.of_snapshot}"
    unexplained = client.query(
        f"SELECT key, trace_hash, place, version, content {rows} AND NOT {has_request} AND NOT {is_expired}",
        settings=BY_KEY,
    ).result_rows
    keys = _ids_in_scope(client, scope, {key for key, *_ in unexplained})
    stored_right, entered = set(), set()
    if keys:
        stored_right = {row[0] for row in client.query(f"SELECT DISTINCT key {rows} AND {has_request}").result_rows}
        at_its_place = f"(key, place) IN (SELECT key, {_PLACE} {entries})"
        entered = {*client.query(f"SELECT key, place {rows} AND NOT {has_request} AND {at_its_place}").result_rows}
    faults: dict[Place, Fault] = {}
    for key, trace_hash, place, version, content in unexplained:
        if key in keys:
            is_entered = (key, place) in entered
            kind = WRONG if is_entered or key in stored_right else UNKNOWN
            rows_here = (Row(place, version, content),)
            verdict = Verdict(kind, rows_here, writes=is_entered)
            faults[REQUESTS, f"{key} {place} {content}"] = Fault(trace_hash, verdict, rows_here)
    return faults


def _write_with_facts(client: Client, ids: list[str]) -> None:
    """Write the rows of these requests again, with the facts that the journal has of them. A merge may have dropped the
    right row for a wrong one that was stored later."""
    if not ids:
        return
    facts = ", ".join(f"entries.told.{name} AS {column}" for column, name in _FACTS.items())
    with working_table(client, "id String", "id") as wanted:
        client.insert(wanted, [[each] for each in ids], column_names=["id"], settings=SETTINGS)
        query = f"""
            INSERT INTO feedback.{REQUESTS.name} SELECT rows.* REPLACE ({facts}) FROM feedback.{REQUESTS.name} AS rows
            INNER JOIN (
                SELECT id, sequence, {_READ} AS told FROM feedback.journal
                WHERE kind = 'request' AND toString(id) IN (SELECT id FROM {wanted})
            ) AS entries ON entries.id = rows.request_id AND entries.sequence = rows.sequence
            WHERE rows.workspace::String = entries.told.workspace AND rows.trace_id = entries.told.trace_id
                AND toUnixTimestamp64Milli(rows.started_at) = entries.told.started_at
            LIMIT 1 BY rows.request_id, rows.sequence"""
        client.command(query, settings=SETTINGS)


def _expiries(snapshot: Snapshot, hash_range: HashRange) -> str:
    """The source of the expiries in a range: of the range alone, or each range would read the whole journal."""
    return f"FROM feedback.journal WHERE kind = 'expiry' AND {snapshot.entries_in(hash_range)}"


def _ids_in_scope(client: Client, scope: Scope, keys: set[str]) -> set[str]:
    """The ids of these that rows in the scope have."""
    if not keys:
        return set()
    asked = ExternalData(file_name="wanted", data="\n".join(keys).encode(), fmt="TSV", structure=["id String"])
    query = f"""
        SELECT DISTINCT {REQUESTS.key} FROM feedback.{REQUESTS.name}
        WHERE {REQUESTS.key} IN (SELECT id FROM wanted) AND {scope.condition("started_at")}"""
    return {row[0] for row in client.query(query, scope.parameters, external_data=asked).result_rows}


def _erased_places(client: Client, places: list[tuple[int, int]]) -> set[tuple[int, int]]:
    """The places of these in the log of requests whose records were erased."""
    if not places:
        return set()
    asked = ExternalData(
        file_name="wanted",
        data="".join(f"{partition}\t{sequence}\n" for partition, sequence in places).encode(),
        fmt="TSV",
        structure=["p UInt16", "s UInt64"],
    )
    query = f"""
        SELECT kafka_partition, sequence FROM feedback.erased_records
        WHERE topic = '{REQUEST_LOGS}' AND (kafka_partition, sequence) IN (SELECT p, s FROM wanted)"""
    return {(partition, sequence) for partition, sequence in client.query(query, external_data=asked).result_rows}

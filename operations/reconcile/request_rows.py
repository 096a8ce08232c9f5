"""Compares the rows of requests with the journal: requests without a row, and rows without a request.

A row never changes, so it is right where the journal has its request at its place: under its workspace, trace and
start. A row elsewhere is wrong if the right one is stored as well. Otherwise the journal may have lost the request.
"""

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from operations.progress import Progress
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.reconcile.hash_range import Fault, Place
from operations.reconcile.journal import Repair, stable_faults
from operations.reconcile.snapshot import HASH, REQUESTS, HashRange, Snapshot, new_snapshot
from operations.reconcile.verdict import MISSING, UNKNOWN, WRONG, Row, Verdict
from schemas.topics import REQUEST_LOGS

_PLACE = (
    "cityHash64(JSONExtractString(entry, 'workspace'), JSONExtractString(entry, 'trace_id'),"
    " JSONExtractInt(entry, 'started_at'))"
)
"""The digest of a row's place, as `snapshot.REQUESTS` makes it, from its entry in the journal."""


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
        repaired = Repair(REQUESTS)
        for (_, key), fault in faults:
            kind = fault.verdict.kind
            found[kind].add([key.partition(" ")[0]])
            if kind != MISSING and repair and (remove or kind == WRONG):
                repaired.add(key.partition(" ")[0], fault)
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
        WHERE kind = 'request' AND {hash_range.of_journal} AND {snapshot.of_journal} AND {bounds}
            AND trace_hash NOT IN (SELECT trace_hash {_expiries(snapshot, hash_range)})
            AND toString(id) NOT IN (SELECT key FROM {snapshot.name} WHERE {hash_range.of_snapshot})"""
    missing = client.query(query, scope.parameters).result_rows
    erased = _erased_places(client, [(partition, sequence) for _, _, partition, sequence in missing])
    return {
        (REQUESTS, key): Fault(trace_hash, Verdict(MISSING, (), writes=False), ())
        for key, trace_hash, *place in missing
        if tuple(place) not in erased
    }


def _rows_without_request(
    client: Client, scope: Scope, snapshot: Snapshot, hash_range: HashRange
) -> dict[Place, Fault]:
    """Rows at whose place the journal has no request."""
    entries = f"FROM feedback.journal WHERE kind = 'request' AND {hash_range.of_journal} AND {snapshot.of_journal}"
    has_request = f"(key, place) IN (SELECT toString(id), {_PLACE} {entries})"
    is_expired = f"trace_hash IN (SELECT bitAnd(trace_hash, {HASH}) {_expiries(snapshot, hash_range)})"
    rows = f"FROM {snapshot.name} WHERE {hash_range.of_snapshot}"
    unexplained = client.query(
        f"SELECT key, trace_hash, place, version {rows} AND NOT {has_request} AND NOT {is_expired}"
    ).result_rows
    keys = _ids_in_scope(client, scope, {key for key, *_ in unexplained})
    stored_right = set()
    if keys:
        stored_right = {row[0] for row in client.query(f"SELECT DISTINCT key {rows} AND {has_request}").result_rows}
    return {
        (REQUESTS, f"{key} {place}"): Fault(
            trace_hash,
            Verdict(WRONG if key in stored_right else UNKNOWN, (Row(place, version, 0),), writes=False),
            (Row(place, version, 0),),
        )
        for key, trace_hash, place, version in unexplained
        if key in keys
    }


def _expiries(snapshot: Snapshot, hash_range: HashRange) -> str:
    """The source of the expiries in a range: of the range alone, or each range would read the whole journal."""
    return f"FROM feedback.journal WHERE kind = 'expiry' AND {hash_range.of_journal} AND {snapshot.of_journal}"


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

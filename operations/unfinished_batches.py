"""Finds what a killed worker has left unfinished, where the broker has lost the records, and has workers finish it.

A worker stores the rows of requests first, then the journal, the feedback and last the aggregates. So a request without
an entry in the journal was not finished, nor was a trace whose aggregate is behind the journal. No worker passes a
batch before it is stored whole, so only the last records of a log can be unfinished, and only these are looked at. The
entries of requests are made from their rows, of which they are a part. For each trace an event is sent, upon which its
worker writes and publishes all of it again.
"""

import struct
import time
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from operations.broker_offsets import GAP
from operations.connections import offset_base
from operations.lost_records import SequenceRange
from operations.record_places import LAST_SEQUENCE, highest_stored
from operations.retention import read_setting, store_setting
from schemas.ids import partition_of, trace_hash_of
from schemas.topics import REQUEST_LOGS
from stream_workers.join.request_facts import RequestEntry, RequestFact

_HASH = "reinterpretAsUInt32(reverse(unhex(substring(toString(request_id), 25, 8))))"
_REQUESTS = f"""
WITH candidates AS (
    SELECT {_HASH} AS trace_hash, * FROM feedback.request_log_rows
    PREWHERE sequence >= {{since:UInt64}} AND sequence >= transform(
        bitAnd({_HASH}, 2147483647) % {{partitions:UInt32}}, {{known:Array(UInt32)}}, {{next:Array(UInt64)}}, 0::UInt64
    )
)
SELECT request_id, sequence, toUnixTimestamp(received_at), workspace, trace_id, toUnixTimestamp64Milli(started_at),
    provider, model, _user, _organisation, _prompt, _environment
FROM candidates WHERE request_id NOT IN (
    SELECT id FROM feedback.journal WHERE trace_hash IN (SELECT trace_hash FROM candidates) AND kind = 'request'
)
"""
# A jump of GAP or more lies between two such groups of sequences, or at the end of one.
_GROUPS = f"""
SELECT kind = 'request' AS is_request, kafka_partition, min(sequence), max(sequence) FROM feedback.journal
WHERE sequence >= {{since:UInt64}}
GROUP BY is_request, kafka_partition, intDiv(sequence, {GAP}) ORDER BY is_request, kafka_partition, min(sequence)
"""
# Compares traces by their hashes alone, without any line of the journal. Finds too many where hashes have more than one
# trace, and where traces were removed.
_SUSPECTS = """
WITH
entered AS (
    SELECT trace_hash, maxIf(sequence, kind != 'request') AS last, uniqExactIf(id, kind = 'request') AS known
    FROM feedback.journal WHERE trace_hash IN (SELECT h FROM wanted)
    GROUP BY trace_hash HAVING countIf(kind = 'feedback') > 0
),
stored AS (
    SELECT hash, count() AS traces, max(newest) AS newest, sum(counted) AS counted FROM (
        SELECT any(kafkaMurmurHash(concat(workspace::String, '/', trace_id))) AS hash,
            max(bitShiftRight(version, 16)) AS newest, argMax(requests, (version, requests)) AS counted
        FROM feedback.trace_aggregate_rows
        WHERE kafkaMurmurHash(concat(workspace::String, '/', trace_id)) IN (SELECT bitAnd(h, 2147483647) FROM wanted)
        GROUP BY workspace, trace_id
    ) GROUP BY hash
)
SELECT trace_hash FROM entered LEFT JOIN stored ON bitAnd(trace_hash, 2147483647) = hash
WHERE traces != 1 OR newest < last OR counted < known
"""
# An entry that names no trace, and whose id no other entry has, is an invalidation or an expiry of all traces of its
# hash. A trace is as far as its last change or invalidation, or as the expiry that covers all its changes.
_TRACES = """
WITH
ids AS (
    SELECT trace_hash, kind, id, max(sequence) AS at, max(JSONExtractString(entry, 'workspace')) AS workspace,
        max(JSONExtractString(entry, 'trace_id')) AS trace_id, max(JSONExtractUInt(entry, 'requests_before')) AS before,
        max(JSONExtractUInt(entry, 'feedback_before')) AS feedback_before
    FROM feedback.journal WHERE trace_hash IN (SELECT h FROM wanted) GROUP BY trace_hash, kind, id
),
hashes AS (
    SELECT trace_hash, maxIf(at, kind != 'expiry') AS invalidated, maxIf(at, kind = 'expiry') AS expired,
        argMaxIf(feedback_before, at, kind = 'expiry') AS covered, max(before) AS removed
    FROM ids WHERE trace_id = '' GROUP BY trace_hash
),
traces AS (
    SELECT trace_hash, workspace, trace_id, maxIf(at, kind = 'feedback') AS changed,
        if(changed < any(covered), any(expired), greatest(changed, any(invalidated))) AS last,
        countIf(kind = 'request' AND at >= removed) AS known
    FROM ids LEFT JOIN hashes USING (trace_hash) WHERE trace_id != ''
    GROUP BY trace_hash, workspace, trace_id HAVING countIf(kind = 'feedback') > 0
),
stored AS (
    SELECT workspace, trace_id, max(bitShiftRight(version, 16)) AS newest,
        argMax(requests, (version, requests)) AS counted
    FROM feedback.trace_aggregate_rows WHERE (workspace, trace_id) IN (SELECT workspace, trace_id FROM traces)
    GROUP BY workspace, trace_id
)
SELECT trace_hash, any(traces.workspace) FROM traces LEFT JOIN stored USING (workspace, trace_id)
WHERE stored.trace_id = '' OR newest < last OR counted < known GROUP BY trace_hash
"""
_INSERTS = "SELECT count() FROM system.processes WHERE query_kind = 'Insert'"
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0}


FINISHED_BEFORE = "finished_before"
"""The setting that says before which sequence everything is stored whole."""
MOST_RECORDS = "most_records_of_a_batch"
"""The setting that says how many records a worker may have had in a batch since then."""


class TraceOfWorkspace(NamedTuple):
    """The hash of a trace, and its workspace."""

    trace_hash: int
    workspace: str


def wait_for_inserts(client: Client, deadline_s: float = 30) -> None:
    """Return when no insert runs any more: ClickHouse finishes those of killed workers. Raises what the client does."""
    until = time.monotonic() + deadline_s
    while int(str(client.command(_INSERTS))) and time.monotonic() < until:
        time.sleep(0.05)


def find_unfinished(client: Client, partitions: int, most_records: int) -> list[TraceOfWorkspace]:
    """The traces that are stored in part. No worker may run, and none may have more than `most_records` in a batch from
    now on. What was found finished is not looked at again. Raises what the client raises.
    """
    since = read_setting(client, FINISHED_BEFORE, offset_base(client, None))
    enter_stored_requests(client, since, partitions)
    groups = client.query(_GROUPS, {"since": since}).result_rows
    before = read_setting(client, MOST_RECORDS, 0)
    most_yet = max(before, most_records)
    found = _unfinished_traces(client, groups, most_yet)
    if groups and not found:
        store_setting(client, FINISHED_BEFORE, max(last for *_, last in groups) + 1)
    if (most := most_yet if found else most_records) != before:
        store_setting(client, MOST_RECORDS, most)
    return found


def enter_stored_requests(client: Client, since: int, partitions: int) -> int:
    """Write the journal's entries of requests whose row is stored without one; how many they are.

    Sequences before `since` are known to be finished. No worker may run. Raises what the client raises.
    """
    every = SequenceRange(since, LAST_SEQUENCE)
    highest = highest_stored(client, {(REQUEST_LOGS, number): every for number in range(partitions)})
    # No entry lies above one that is missing.
    following = [last + 1 for last in highest.values()]
    first = max(since, min(following)) if len(following) == partitions else since
    asked = {"since": first, "partitions": partitions, "known": [number for _, number in highest], "next": following}
    found = [_entry_of(row, partitions) for row in client.query(_REQUESTS, asked).result_rows]
    if found:
        # With pyarrow, which `feedback up` needs for nothing else.
        from stream_workers.io.arrow_rows import request_entries

        client.insert_arrow("feedback.journal", request_entries(found), settings=_SETTINGS)
    return len(found)


def _entry_of(row: Sequence[Any], partitions: int) -> RequestEntry:
    identity, sequence, recorded_at, workspace, trace_id, started_at, *texts = row
    trace_hash = trace_hash_of(identity)
    fact = RequestFact(workspace, trace_id, started_at, *(text or None for text in texts))
    return RequestEntry(trace_hash, str(identity), sequence, partition_of(trace_hash, partitions), recorded_at, fact)


def _unfinished_traces(client: Client, groups: Sequence[Sequence[Any]], most_records: int) -> list[TraceOfWorkspace]:
    """The traces whose aggregates are behind the journal, of those among the last records of each log and partition."""
    tails = [
        f"(kind = 'request') = {is_request} AND kafka_partition = {partition}"
        f" AND sequence BETWEEN {max(0, end - most_records)} AND {end}"
        for (is_request, partition), of_place in groupby(groups, lambda row: row[:2])
        for end in ends_of_logs((row[2], row[3]) for row in of_place)
    ]
    if not tails:
        return []
    query = "SELECT DISTINCT trace_hash FROM feedback.journal WHERE " + " OR ".join(f"({each})" for each in tails)
    hashes = [row[0] for row in client.query(query).result_rows]
    suspects = [row[0] for row in client.query(_SUSPECTS, external_data=_wanted(hashes)).result_rows]
    if not suspects:
        return []
    return [TraceOfWorkspace(*row) for row in client.query(_TRACES, external_data=_wanted(suspects)).result_rows]


def _wanted(hashes: Sequence[int]) -> ExternalData:
    data = struct.pack(f"<{len(hashes)}I", *hashes)
    return ExternalData(file_name="wanted", data=data, fmt="RowBinary", structure=["h UInt32"])


def ends_of_logs(groups: Iterable[tuple[int, int]]) -> list[int]:
    """The last sequence of each log, from the first and last sequences of ascending groups of one partition's entries.

    Each log begins at least GAP above all that was stored of those before.
    """
    ends: list[int] = []
    for first, last in groups:
        if ends and first - ends[-1] < GAP:
            ends[-1] = last
        else:
            ends.append(last)
    return ends

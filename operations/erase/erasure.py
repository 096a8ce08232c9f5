"""Erases a person: removes all their rows, and publishes tombstones to the compacted topics.

A `Subject` (conditions.py) selects the rows; it may select other rows than those of a person. To a person belong all
feedback whose `_user` names them, as it was sent, changed, or inherited from a request of its trace, all requests that
name them, and all dead letters that do. First their feedback is deleted through the pipeline, so that workers subtract
it from all numbers and publish tombstones. Then the rows are removed with all their versions, and the workers are told
to read their state again. A request stays in its trace without the person: with its model and time.

The ids are noted in `erasures_under_way` until the erasure is complete, because the rows that identify them are removed
on the way. All statements use the notes, so the amount does not matter. Each step may be repeated, and an interrupted
erasure is run again. Records in the input topics and in the topic of dead letters cannot be removed one by one; they go
with their retention.
"""

import asyncio

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from operations.connections import clickhouse, kafka
from operations.erase.conditions import (
    AGGREGATES,
    EVENTS,
    OWN_NOTES,
    SHARED,
    Subject,
    count,
    count_dry_run,
    count_in,
    is_noted,
)
from operations.erase.events import delete_feedback, invalidate, wait_until_committed
from operations.progress import Progress
from operations.removal import forget_sums, mutate
from runtime.addresses import dsn
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.rollup.rollups import Hour, recompute_after_removal

_ROUNDS = 5


def would_erase(clickhouse_url: str, subject: Subject) -> dict[str, int]:
    """How many rows of each table `erase` would remove."""
    with clickhouse(clickhouse_url) as client:
        return count_dry_run(client, subject)


def erase(
    clickhouse_url: str,
    bootstrap: str,
    group: str,
    subject: Subject,
    *,
    progress: Progress,
    patience_s: float = 60,
) -> tuple[dict[str, int], dict[str, int]]:
    """Erase; how many of their rows each table had before and has after. CommandError where it cannot be completed."""
    with clickhouse(clickhouse_url) as client:
        # What no worker has read yet may name them too.
        kafka(bootstrap, wait_until_committed(bootstrap, group, patience_s, progress))
        _note_ids(client, subject)
        before = after = count(client, subject)
        is_found = any(before.values()) or count_in(client, "erasures_under_way", OWN_NOTES, subject)
        for _ in range(_ROUNDS if is_found else 0):
            _delete_through_the_pipeline(client, bootstrap, group, subject, patience_s, progress)
            held = {table for table, rows in after.items() if rows}
            _remove(client, clickhouse_url, bootstrap, subject, held, progress)
            _note_ids(client, subject)
            after = count(client, subject)
            if not any(after.values()):
                # A run that was killed may have removed the last of their rows, and not yet what was summed of them.
                forget_sums(client)
                mutate(client, {"erasures_under_way": f"DELETE WHERE {OWN_NOTES}"}, subject.parameters, progress)
                break
    return before, after


def _note_ids(client: Client, subject: Subject) -> None:
    """Note their ids, in addition to those that were noted before."""
    for kind, found in subject.id_queries.items():
        client.command(
            "INSERT INTO feedback.erasures_under_way (workspace, user, kind, id)"
            f" SELECT {{workspace:String}}, {{user:String}}, '{kind}', id FROM ({found})",
            parameters=subject.parameters,
        )


def _ids(client: Client, subject: Subject, *kinds: str) -> list[str]:
    """The noted ids of these kinds."""
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    query = f"SELECT DISTINCT id FROM feedback.erasures_under_way WHERE {OWN_NOTES} AND kind IN ({listed})"
    return [row[0] for row in client.query(query, subject.parameters).result_rows]


def _delete_through_the_pipeline(
    client: Client, bootstrap: str, group: str, subject: Subject, patience_s: float, progress: Progress
) -> None:
    """Delete their feedback through the pipeline, and wait until workers have processed that and all records before."""
    undeleted = [
        row[0]
        for row in client.query(
            f"SELECT DISTINCT toString(id) FROM feedback.journal WHERE {EVENTS} AND id NOT IN (SELECT id"
            f" FROM feedback.journal WHERE {EVENTS} AND JSONExtractString(entry, 'event') = 'delete')",
            subject.parameters,
        ).result_rows
    ]
    kafka(bootstrap, delete_feedback(bootstrap, subject.workspace, undeleted, progress))
    kafka(bootstrap, wait_until_committed(bootstrap, group, patience_s, progress))


def _remove(
    client: Client, clickhouse_url: str, bootstrap: str, subject: Subject, held: set[str], progress: Progress
) -> None:
    """Remove the rows, note their places in the log, and have everything recomputed that depends on them. `held` names
    the tables that have such rows; what another one gets meanwhile, the next round removes."""
    wanted = subject.parameters
    client.command(
        "INSERT INTO feedback.erased_records (topic, kafka_partition, sequence, erased_at)"
        f" SELECT if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}'), kafka_partition, sequence, now64(3)"
        f" FROM feedback.journal WHERE {EVENTS} OR kind = 'request' AND {is_noted('request', 'id')}",
        parameters=wanted,
    )
    client.command(
        "INSERT INTO feedback.erased_records (topic, kafka_partition, sequence, erased_at)"
        " SELECT topic, kafka_partition, sequence, now64(3)"
        f" FROM feedback.dead_letters WHERE {subject.row_conditions['dead_letters']}",
        parameters=wanted,
    )
    row_conditions = {table: each for table, each in subject.row_conditions.items() if table in held - {"rollup_rows"}}
    changes = {table: f"DELETE WHERE {each}" for table, each in row_conditions.items()}
    if "journal" in changes:
        changes["journal"] = subject.journal_change
    mutate(client, changes, wanted, progress)
    asyncio.run(_roll_up(clickhouse_url, subject.workspace, sorted(map(int, _ids(client, subject, "hour"))), progress))
    rollups = subject.row_conditions.get("rollup_rows")
    if rollups and count_in(client, "rollup_rows", rollups, subject):
        mutate(client, {"rollup_rows": f"DELETE WHERE {rollups}"}, wanted, progress)
    newest = f"SELECT trace_id, max(version) FROM feedback.trace_aggregate_rows WHERE {AGGREGATES} GROUP BY trace_id"
    versions = {trace: int(version) for trace, version in client.query(newest, wanted).result_rows}
    shared = [row[0] for row in client.query(SHARED, wanted).result_rows]
    identities = set(_ids(client, subject, "feedback", "request"))
    kafka(bootstrap, invalidate(bootstrap, subject.workspace, versions, shared, identities, progress))
    if versions:
        mutate(client, {"trace_aggregate_rows": f"DELETE WHERE {AGGREGATES}"}, wanted, progress)


async def _roll_up(clickhouse_url: str, workspace: str, hours: list[int], progress: Progress) -> None:
    client = await clickhouse_connect.get_async_client(**dsn(clickhouse_url), autogenerate_session_id=False)
    try:
        buckets = len({each // 3600 for each in hours}) + len({each // 86_400 for each in hours})
        with progress.step("hours and days computed anew", buckets) as advance:
            await recompute_after_removal(client, [Hour(workspace, start) for start in hours], advance)
    finally:
        await client.close()

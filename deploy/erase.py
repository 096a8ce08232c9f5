"""Removing a person: every row that is theirs, wherever it lies, and a tombstone where a topic keeps the latest.

Theirs is feedback whose `_user`, as it was sent, changed, or taken from a request of its trace, names them, every
request that names them, and every dead letter that does. Their feedback is first deleted as anyone deletes it, so that
workers take it out of all numbers and publish tombstones; then the rows themselves are removed, versions and all, and
the workers told to read anew. What a request has said about its trace stays without the person: its model and time.

What is found is noted in `erasures_under_way` until all is done, since the rows that tell it are removed on the way;
every statement looks there, so it does not matter how much there is. Each step may be repeated, and an erasure that was
cut off is simply run again. Records in the input topics and in the topic of dead letters cannot be removed one by one:
they go with their retention.
"""

import asyncio

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from deploy.engines import CommandError, clickhouse, kafka
from deploy.erase_conditions import (
    AGGREGATES,
    EVENTS,
    FACTS,
    FOUND,
    LETTERS,
    SHARED,
    THEIR_NOTES,
    THEIRS,
    Person,
    count,
    count_in,
    count_without_noting,
    is_noted,
)
from deploy.erase_events import delete, tell, until_committed
from deploy.progress import Progress
from deploy.removal import mutate
from schemas.addresses import dsn
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.rollups import Hour, touch_after_removal

_ROUNDS = 5


def would_erase(clickhouse_url: str, workspace: str, user: str) -> dict[str, int]:
    """The rows per table that `erase` would remove."""
    with clickhouse(clickhouse_url) as client:
        return count_without_noting(client, _person(workspace, user))


def erase(
    clickhouse_url: str,
    bootstrap: str,
    group: str,
    workspace: str,
    user: str,
    *,
    progress: Progress,
    patience_s: float = 60,
) -> tuple[dict[str, int], dict[str, int]]:
    """Erase; the rows that were theirs per table, before and after. CommandError where it cannot be completed."""
    person = _person(workspace, user)
    with clickhouse(clickhouse_url) as client:
        _find(client, person)
        before = after = count(client, person)
        for _ in range(_ROUNDS if count_in(client, "erasures_under_way", THEIR_NOTES, person) else 0):
            _delete_through_the_pipeline(client, bootstrap, group, person, patience_s, progress)
            _remove(client, clickhouse_url, bootstrap, person, progress)
            _find(client, person)
            after = count(client, person)
            if not any(after.values()):
                mutate(client, {"erasures_under_way": f"DELETE WHERE {THEIR_NOTES}"}, person.parameters, progress)
                break
    return before, after


def _person(workspace: str, user: str) -> Person:
    if not user:
        raise CommandError("Name the person: --user must not be empty.")
    return Person(workspace, user)


def _find(client: Client, person: Person) -> None:
    """Note what is theirs, beside what was noted before."""
    for kind, found in FOUND.items():
        client.command(
            "INSERT INTO feedback.erasures_under_way (workspace, user, kind, id)"
            f" SELECT {{workspace:String}}, {{user:String}}, '{kind}', id FROM ({found})",
            parameters=person.parameters,
        )


def _ids(client: Client, person: Person, *kinds: str) -> list[str]:
    """What is noted of these kinds."""
    told = ", ".join(f"'{kind}'" for kind in kinds)
    query = f"SELECT DISTINCT id FROM feedback.erasures_under_way WHERE {THEIR_NOTES} AND kind IN ({told})"
    return [row[0] for row in client.query(query, person.parameters).result_rows]


def _delete_through_the_pipeline(
    client: Client, bootstrap: str, group: str, person: Person, patience_s: float, progress: Progress
) -> None:
    """Delete their feedback as anyone would, and wait until workers have done that and all that came before."""
    standing = [
        row[0]
        for row in client.query(
            f"SELECT DISTINCT toString(id) FROM feedback.journal WHERE {EVENTS} AND id NOT IN (SELECT id"
            f" FROM feedback.journal WHERE {EVENTS} AND JSONExtractString(entry, 'event') = 'delete')",
            person.parameters,
        ).result_rows
    ]
    kafka(bootstrap, delete(bootstrap, person.workspace, standing, progress))
    kafka(bootstrap, until_committed(bootstrap, group, patience_s, progress))


def _remove(client: Client, clickhouse_url: str, bootstrap: str, person: Person, progress: Progress) -> None:
    """Remove the rows, note their places in the log, and have everything that rested on them told anew."""
    wanted = person.parameters
    client.command(
        "INSERT INTO feedback.erased_records"
        f" SELECT if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}'), kafka_partition, sequence, now64(3)"
        f" FROM feedback.journal WHERE {EVENTS} OR kind = 'request' AND {is_noted('request', 'id')}",
        parameters=wanted,
    )
    client.command(
        "INSERT INTO feedback.erased_records SELECT topic, kafka_partition, sequence, now64(3)"
        f" FROM feedback.dead_letters WHERE {LETTERS}",
        parameters=wanted,
    )
    held = {table for table, rows in count(client, person).items() if rows}
    changes = {table: f"DELETE WHERE {theirs}" for table, theirs in THEIRS.items() if table in held - {"rollup_rows"}}
    if "journal" in changes:
        without = "line = replaceOne(line, {fact:String}, '')"
        changes["journal"] = f"UPDATE {without} WHERE {FACTS}, DELETE WHERE {EVENTS}"
    mutate(client, changes, wanted, progress)
    asyncio.run(_roll_up(clickhouse_url, person.workspace, sorted(map(int, _ids(client, person, "hour"))), progress))
    if count_in(client, "rollup_rows", THEIRS["rollup_rows"], person):
        mutate(client, {"rollup_rows": f"DELETE WHERE {THEIRS['rollup_rows']}"}, wanted, progress)
    newest = f"SELECT trace_id, max(version) FROM feedback.trace_aggregate_rows WHERE {AGGREGATES} GROUP BY trace_id"
    versions = {trace: int(version) for trace, version in client.query(newest, wanted).result_rows}
    shared = [row[0] for row in client.query(SHARED, wanted).result_rows]
    identities = set(_ids(client, person, "feedback", "request"))
    kafka(bootstrap, tell(bootstrap, person.workspace, versions, shared, identities, progress))
    if versions:
        mutate(client, {"trace_aggregate_rows": f"DELETE WHERE {AGGREGATES}"}, wanted, progress)


async def _roll_up(clickhouse_url: str, workspace: str, hours: list[int], progress: Progress) -> None:
    client = await clickhouse_connect.get_async_client(**dsn(clickhouse_url), autogenerate_session_id=False)
    try:
        buckets = len({each // 3600 for each in hours}) + len({each // 86_400 for each in hours})
        with progress.step("hours and days computed anew", buckets) as advance:
            await touch_after_removal(client, [Hour(workspace, start) for start in hours], lambda: advance(1))
    finally:
        await client.close()

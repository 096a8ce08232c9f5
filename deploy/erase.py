"""Removing a person: every row that is theirs, wherever it lies, and a tombstone where a topic keeps the latest.

Theirs is feedback whose `_user`, as it was sent, changed, or taken from a request of its trace, names them, every
request that names them, and every dead letter that does. Their feedback is first deleted as anyone deletes it, so that
workers take it out of all numbers and publish tombstones; then the rows themselves are removed, versions and all, and
the workers told to read anew. What a request has said about its trace stays without the person: its model and time.

What was found is kept in `erasures_under_way` until all is done, since the rows that tell it are removed on the way.
Each step may be repeated, and an erasure that was cut off is simply run again. Records in the input topics and in the
topic of dead letters cannot be removed one by one: they go with their retention.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client

from deploy.engines import CommandError, clickhouse, kafka
from deploy.erase_events import delete, tell, until_committed
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.rollups import touch_after_removal

_ROUNDS = 5


@dataclass
class Person:
    """Whose rows, which feedback and requests were found to be theirs, and the traces and hours (starts, Unix seconds)
    these are in."""

    workspace: str
    user: str
    feedback: set[str] = field(default_factory=set)
    requests: set[str] = field(default_factory=set)
    traces: set[str] = field(default_factory=set)
    hours: set[str] = field(default_factory=set)

    @property
    def found(self) -> dict[str, set[str]]:
        """What is kept of an erasure under way, by kind."""
        return {"feedback": self.feedback, "request": self.requests, "trace": self.traces, "hour": self.hours}

    @property
    def parameters(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "user": self.user,
            "feedback": sorted(self.feedback),
            "requests": sorted(self.requests),
            "traces": sorted(self.traces),
            "fact": ',"user":' + msgspec.json.encode(self.user).decode(),
        }


_ENTRY_OF = "JSONExtractString(entry, 'workspace') = {workspace:String}"
_FOUND_FEEDBACK = f"""
SELECT toString(feedback_id) FROM feedback.feedback_rows
WHERE workspace = {{workspace:String}} AND (_user = {{user:String}} OR home_user = {{user:String}})
UNION DISTINCT SELECT toString(feedback_id) FROM feedback.feedback_hour_rows
WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
UNION DISTINCT SELECT toString(id) FROM feedback.journal
WHERE kind = 'feedback' AND JSONExtractString(entry, '_user') = {{user:String}} AND {_ENTRY_OF}
"""
_FOUND_REQUESTS = f"""
SELECT toString(request_id) FROM feedback.request_log_rows
WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
UNION DISTINCT SELECT toString(id) FROM feedback.journal
WHERE kind = 'request' AND JSONExtractString(entry, 'user') = {{user:String}} AND {_ENTRY_OF}
"""
_FOUND_TRACES = """
SELECT DISTINCT trace_id FROM feedback.feedback_rows WHERE workspace = {workspace:String} AND trace_id IN (
    SELECT trace_id FROM feedback.feedback_rows WHERE toString(feedback_id) IN {feedback:Array(String)}
    UNION DISTINCT SELECT trace_id FROM feedback.request_log_rows
    WHERE toString(request_id) IN {requests:Array(String)}
)
"""
_OF_FEEDBACK = "toString({column}) IN {{feedback:Array(String)}}"
_LETTERS = (
    "JSONExtractString(value, 'workspace') = {workspace:String} AND (JSONExtractString(value, '_user') = {user:String}"
    " OR feedback_id IN {feedback:Array(String)})"
)
_FACTS = "kind = 'request' AND toString(id) IN {requests:Array(String)} AND position(entry, {fact:String}) > 0"

_TRACES = "workspace = {workspace:String} AND trace_id IN {traces:Array(String)}"
_SHARED = (
    f"SELECT DISTINCT trace_id FROM feedback.feedback_rows WHERE {_TRACES}"
    " AND toString(feedback_id) NOT IN {feedback:Array(String)}"
)
_AGGREGATES = f"{_TRACES} AND trace_id NOT IN ({_SHARED})"
_UNDER_WAY = "workspace = {workspace:String} AND user = {user:String}"

# What is theirs in each table, and goes before what is left is computed anew.
THEIRS = {
    "feedback_rows": _OF_FEEDBACK.format(column="feedback_id"),
    "feedback_hour_rows": _OF_FEEDBACK.format(column="feedback_id"),
    "request_log_rows": "toString(request_id) IN {requests:Array(String)}",
    "journal": f"kind = 'feedback' AND {_OF_FEEDBACK.format(column='id')} OR {_FACTS}",
    "dead_letters": _LETTERS,
    "rollup_rows": "workspace = {workspace:String} AND dimension = 'user' AND key = {user:String}",
}


def erase(
    clickhouse_url: str,
    bootstrap: str,
    group: str,
    workspace: str,
    user: str,
    *,
    say: Callable[[str], None],
    patience_s: float = 60,
) -> tuple[dict[str, int], dict[str, int]]:
    """Erase; the rows that were theirs per table, before and after. CommandError where it cannot be completed."""
    if not user:
        raise CommandError("Name the person: --user must not be empty.")
    with clickhouse(clickhouse_url) as client:
        person = Person(workspace, user)
        _find(client, person)
        before = after = _count(client, person)
        for _ in range(_ROUNDS):
            if not any(after.values()):
                break
            _note(client, person)
            _delete_through_the_pipeline(client, bootstrap, group, person, patience_s, say)
            _remove(client, clickhouse_url, bootstrap, person)
            _find(client, person)
            after = _count(client, person)
    return before, after


def _find(client: Client, person: Person) -> None:
    def ids(query: str) -> set[str]:
        return {row[0] for row in client.query(query, person.parameters).result_rows}

    for kind, known in person.found.items():
        known |= ids(f"SELECT id FROM feedback.erasures_under_way WHERE {_UNDER_WAY} AND kind = '{kind}'")
    person.feedback |= ids(_FOUND_FEEDBACK)
    person.requests |= ids(_FOUND_REQUESTS)
    person.traces |= ids(_FOUND_TRACES)
    person.hours |= ids(
        f"SELECT toString(toUnixTimestamp(hour)) FROM feedback.feedback_hour_rows WHERE {THEIRS['feedback_hour_rows']}"
        " UNION DISTINCT SELECT toString(toUnixTimestamp(start)) FROM feedback.rollup_rows"
        f" WHERE period = 'hour' AND {THEIRS['rollup_rows']}"
    )


def _count(client: Client, person: Person) -> dict[str, int]:
    wanted = person.parameters
    everywhere = THEIRS | {"trace_aggregate_rows": _AGGREGATES, "erasures_under_way": _UNDER_WAY}
    return {
        table: int(client.query(f"SELECT count() FROM feedback.{table} WHERE {theirs}", wanted).result_rows[0][0])
        for table, theirs in everywhere.items()
    }


def _note(client: Client, person: Person) -> None:
    """Keep what was found, for the case that this erasure is cut off."""
    client.insert(
        "feedback.erasures_under_way",
        [(person.workspace, person.user, kind, each) for kind, ids in person.found.items() for each in sorted(ids)],
        column_names=["workspace", "user", "kind", "id"],
        settings={"async_insert": 0},
    )


def _delete_through_the_pipeline(
    client: Client, bootstrap: str, group: str, person: Person, patience_s: float, say: Callable[[str], None]
) -> None:
    """Delete their feedback as anyone would, and wait until workers have done that and all that came before."""
    standing = [
        row[0]
        for row in client.query(
            "SELECT DISTINCT toString(id) FROM feedback.journal WHERE kind = 'feedback'"
            " AND toString(id) IN {feedback:Array(String)} AND id NOT IN (SELECT id FROM feedback.journal"
            " WHERE kind = 'feedback' AND JSONExtractString(entry, 'event') = 'delete')",
            person.parameters,
        ).result_rows
    ]
    kafka(bootstrap, delete(bootstrap, person.workspace, standing))
    say(f"{len(standing)} feedbacks deleted; waiting for the workers")
    kafka(bootstrap, until_committed(bootstrap, group, patience_s))


def _remove(client: Client, clickhouse_url: str, bootstrap: str, person: Person) -> None:
    """Remove the rows, note their places in the log, and have everything that rested on them told anew."""
    wanted = person.parameters
    client.command(
        "INSERT INTO feedback.erased_records"
        f" SELECT if(kind = 'feedback', '{FEEDBACK_EVENTS}', '{REQUEST_LOGS}'), kafka_partition, sequence, now64(3)"
        f" FROM feedback.journal WHERE kind = 'feedback' AND {_OF_FEEDBACK.format(column='id')}"
        " OR kind = 'request' AND toString(id) IN {requests:Array(String)}",
        parameters=wanted,
    )
    client.command(
        "INSERT INTO feedback.erased_records SELECT topic, kafka_partition, sequence, now64(3)"
        f" FROM feedback.dead_letters WHERE {_LETTERS}",
        parameters=wanted,
    )
    now = {"mutations_sync": 2}
    facts = f"ALTER TABLE feedback.journal UPDATE line = replaceOne(line, {{fact:String}}, '') WHERE {_FACTS}"
    client.command(facts, parameters=wanted, settings=now)
    for table, theirs in THEIRS.items():
        if table != "rollup_rows":
            client.command(f"ALTER TABLE feedback.{table} DELETE WHERE {theirs}", parameters=wanted, settings=now)
    asyncio.run(_roll_up(clickhouse_url, person.workspace, sorted(map(int, person.hours))))
    rollups = f"ALTER TABLE feedback.rollup_rows DELETE WHERE {THEIRS['rollup_rows']}"
    client.command(rollups, parameters=wanted, settings=now)
    newest = f"SELECT trace_id, max(version) FROM feedback.trace_aggregate_rows WHERE {_AGGREGATES} GROUP BY trace_id"
    versions = {trace: int(version) for trace, version in client.query(newest, wanted).result_rows}
    shared = [row[0] for row in client.query(_SHARED, wanted).result_rows]
    kafka(bootstrap, tell(bootstrap, person.workspace, versions, shared, person.feedback | person.requests))
    for table, theirs in (("trace_aggregate_rows", _AGGREGATES), ("erasures_under_way", _UNDER_WAY)):
        gone = f"ALTER TABLE feedback.{table} DELETE WHERE {theirs}"
        client.command(gone, parameters=wanted, settings=now | {"allow_nondeterministic_mutations": 1})


async def _roll_up(clickhouse_url: str, workspace: str, hours: list[int]) -> None:
    client = await clickhouse_connect.get_async_client(dsn=clickhouse_url, autogenerate_session_id=False)
    try:
        await touch_after_removal(client, workspace, hours)
    finally:
        await client.close()

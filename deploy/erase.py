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
from collections.abc import Callable
from dataclasses import dataclass

import clickhouse_connect
import msgspec
from clickhouse_connect.driver.client import Client

from deploy.engines import CommandError, clickhouse, kafka
from deploy.erase_events import delete, tell, until_committed
from schemas.addresses import dsn
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.rollups import touch_after_removal

_ROUNDS = 5


@dataclass(frozen=True)
class Person:
    """Whose rows."""

    workspace: str
    user: str

    @property
    def parameters(self) -> dict[str, str]:
        return {
            "workspace": self.workspace,
            "user": self.user,
            "fact": ',"user":' + msgspec.json.encode(self.user).decode(),
        }


_UNDER_WAY = "workspace = {workspace:String} AND user = {user:String}"


def _noted(kind: str) -> str:
    return f"(SELECT id FROM feedback.erasures_under_way WHERE {_UNDER_WAY} AND kind = '{kind}')"


def _is_noted(kind: str, column: str) -> str:
    return f"toString({column}) IN {_noted(kind)}"


_ENTRY_OF = "JSONExtractString(entry, 'workspace') = {workspace:String}"
_LETTERS = (
    "JSONExtractString(value, 'workspace') = {workspace:String} AND (JSONExtractString(value, '_user') = {user:String}"
    f" OR feedback_id IN {_noted('feedback')})"
)
_FACTS = f"kind = 'request' AND {_is_noted('request', 'id')} AND position(entry, {{fact:String}}) > 0"

_TRACES = f"workspace = {{workspace:String}} AND trace_id IN {_noted('trace')}"
_SHARED = (
    f"SELECT DISTINCT trace_id FROM feedback.feedback_rows WHERE {_TRACES}"
    f" AND toString(feedback_id) NOT IN {_noted('feedback')}"
)
_AGGREGATES = f"{_TRACES} AND trace_id NOT IN ({_SHARED})"

# What is theirs in each table, and goes before what is left is computed anew.
THEIRS = {
    "feedback_rows": _is_noted("feedback", "feedback_id"),
    "feedback_hour_rows": _is_noted("feedback", "feedback_id"),
    "request_log_rows": _is_noted("request", "request_id"),
    "journal": f"kind = 'feedback' AND {_is_noted('feedback', 'id')} OR {_FACTS}",
    "dead_letters": _LETTERS,
    "rollup_rows": "workspace = {workspace:String} AND dimension = 'user' AND key = {user:String}",
}
# What is found of each kind, by what was found before it.
_FOUND = {
    "feedback": f"""
        SELECT toString(feedback_id) AS id FROM feedback.feedback_rows
        WHERE workspace = {{workspace:String}} AND (_user = {{user:String}} OR home_user = {{user:String}})
        UNION DISTINCT SELECT toString(feedback_id) FROM feedback.feedback_hour_rows
        WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal
        WHERE kind = 'feedback' AND JSONExtractString(entry, '_user') = {{user:String}} AND {_ENTRY_OF}""",
    "request": f"""
        SELECT toString(request_id) AS id FROM feedback.request_log_rows
        WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal
        WHERE kind = 'request' AND JSONExtractString(entry, 'user') = {{user:String}} AND {_ENTRY_OF}""",
    "trace": f"""
        SELECT DISTINCT trace_id AS id FROM feedback.feedback_rows
        WHERE workspace = {{workspace:String}} AND trace_id IN (
            SELECT trace_id FROM feedback.feedback_rows WHERE {THEIRS["feedback_rows"]}
            UNION DISTINCT SELECT trace_id FROM feedback.request_log_rows WHERE {THEIRS["request_log_rows"]}
        )""",
    "hour": f"""
        SELECT toString(toUnixTimestamp(hour)) AS id FROM feedback.feedback_hour_rows
        WHERE {THEIRS["feedback_hour_rows"]}
        UNION DISTINCT SELECT toString(toUnixTimestamp(start)) FROM feedback.rollup_rows
        WHERE period = 'hour' AND {THEIRS["rollup_rows"]}""",
}
_MUTATION = {"mutations_sync": 2, "allow_nondeterministic_mutations": 1}


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
    person = Person(workspace, user)
    with clickhouse(clickhouse_url) as client:
        _find(client, person)
        before = after = _count(client, person)
        for _ in range(_ROUNDS if _count_in(client, "erasures_under_way", _UNDER_WAY, person) else 0):
            _delete_through_the_pipeline(client, bootstrap, group, person, patience_s, say)
            _remove(client, clickhouse_url, bootstrap, person)
            _find(client, person)
            after = _count(client, person)
            if not any(after.values()):
                _remove_from(client, "erasures_under_way", _UNDER_WAY, person)
                break
    return before, after


def _find(client: Client, person: Person) -> None:
    """Note what is theirs, beside what was noted before."""
    for kind, found in _FOUND.items():
        client.command(
            "INSERT INTO feedback.erasures_under_way (workspace, user, kind, id)"
            f" SELECT {{workspace:String}}, {{user:String}}, '{kind}', id FROM ({found})",
            parameters=person.parameters,
        )


def _ids(client: Client, person: Person, *kinds: str) -> list[str]:
    """What is noted of these kinds."""
    told = ", ".join(f"'{kind}'" for kind in kinds)
    query = f"SELECT DISTINCT id FROM feedback.erasures_under_way WHERE {_UNDER_WAY} AND kind IN ({told})"
    return [row[0] for row in client.query(query, person.parameters).result_rows]


def _count(client: Client, person: Person) -> dict[str, int]:
    everywhere = THEIRS | {"trace_aggregate_rows": _AGGREGATES}
    return {table: _count_in(client, table, theirs, person) for table, theirs in everywhere.items()}


def _count_in(client: Client, table: str, theirs: str, person: Person) -> int:
    query = f"SELECT count() FROM feedback.{table} WHERE {theirs}"
    return int(client.query(query, person.parameters).result_rows[0][0])


def _delete_through_the_pipeline(
    client: Client, bootstrap: str, group: str, person: Person, patience_s: float, say: Callable[[str], None]
) -> None:
    """Delete their feedback as anyone would, and wait until workers have done that and all that came before."""
    standing = [
        row[0]
        for row in client.query(
            "SELECT DISTINCT toString(id) FROM feedback.journal WHERE kind = 'feedback'"
            f" AND {_is_noted('feedback', 'id')} AND id NOT IN (SELECT id FROM feedback.journal"
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
        f" FROM feedback.journal WHERE kind = 'feedback' AND {_is_noted('feedback', 'id')}"
        f" OR kind = 'request' AND {_is_noted('request', 'id')}",
        parameters=wanted,
    )
    client.command(
        "INSERT INTO feedback.erased_records SELECT topic, kafka_partition, sequence, now64(3)"
        f" FROM feedback.dead_letters WHERE {_LETTERS}",
        parameters=wanted,
    )
    facts = f"ALTER TABLE feedback.journal UPDATE line = replaceOne(line, {{fact:String}}, '') WHERE {_FACTS}"
    client.command(facts, parameters=wanted, settings=_MUTATION)
    for table, theirs in THEIRS.items():
        if table != "rollup_rows":
            _remove_from(client, table, theirs, person)
    asyncio.run(_roll_up(clickhouse_url, person.workspace, sorted(map(int, _ids(client, person, "hour")))))
    _remove_from(client, "rollup_rows", THEIRS["rollup_rows"], person)
    newest = f"SELECT trace_id, max(version) FROM feedback.trace_aggregate_rows WHERE {_AGGREGATES} GROUP BY trace_id"
    versions = {trace: int(version) for trace, version in client.query(newest, wanted).result_rows}
    shared = [row[0] for row in client.query(_SHARED, wanted).result_rows]
    kafka(
        bootstrap, tell(bootstrap, person.workspace, versions, shared, set(_ids(client, person, "feedback", "request")))
    )
    _remove_from(client, "trace_aggregate_rows", _AGGREGATES, person)


def _remove_from(client: Client, table: str, theirs: str, person: Person) -> None:
    gone = f"ALTER TABLE feedback.{table} DELETE WHERE {theirs}"
    client.command(gone, parameters=person.parameters, settings=_MUTATION)


async def _roll_up(clickhouse_url: str, workspace: str, hours: list[int]) -> None:
    client = await clickhouse_connect.get_async_client(**dsn(clickhouse_url), autogenerate_session_id=False)
    try:
        await touch_after_removal(client, workspace, hours)
    finally:
        await client.close()

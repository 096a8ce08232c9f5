"""What is a person's, as conditions of ClickHouse: which rows of each table, and by what they are found.

The rows that tell what is theirs are removed on the way, so what is found is noted first, and every condition looks
there: in `erasures_under_way`, or for a dry run in a table that goes along with the query.
"""

from dataclasses import dataclass

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData


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


NOTES = "feedback.erasures_under_way"
THEIR_NOTES = "workspace = {workspace:String} AND user = {user:String}"


def is_noted(kind: str, column: str) -> str:
    """Whether the id in this column is noted as theirs."""
    return f"toString({column}) IN {_noted(kind)}"


def _noted(kind: str) -> str:
    return f"(SELECT id FROM {NOTES} WHERE {THEIR_NOTES} AND kind = '{kind}')"


_ENTRY_OF = "JSONExtractString(entry, 'workspace') = {workspace:String}"
LETTERS = (
    "JSONExtractString(value, 'workspace') = {workspace:String} AND (JSONExtractString(value, '_user') = {user:String}"
    f" OR feedback_id IN {_noted('feedback')})"
)
EVENTS = f"kind = 'feedback' AND {is_noted('feedback', 'id')}"
FACTS = f"kind = 'request' AND {is_noted('request', 'id')} AND position(entry, {{fact:String}}) > 0"

_TRACES = f"workspace = {{workspace:String}} AND trace_id IN {_noted('trace')}"
SHARED = (
    f"SELECT DISTINCT trace_id FROM feedback.feedback_rows WHERE {_TRACES}"
    f" AND toString(feedback_id) NOT IN {_noted('feedback')}"
)
AGGREGATES = f"{_TRACES} AND trace_id NOT IN ({SHARED})"

# What is theirs in each table, and goes before what is left is computed anew.
THEIRS = {
    "feedback_rows": is_noted("feedback", "feedback_id"),
    "feedback_hour_rows": is_noted("feedback", "feedback_id"),
    "request_log_rows": is_noted("request", "request_id"),
    "journal": f"{EVENTS} OR {FACTS}",
    "dead_letters": LETTERS,
    "rollup_rows": "workspace = {workspace:String} AND dimension = 'user' AND key = {user:String}",
}
# What is found of each kind, by what was found before it.
FOUND = {
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
EVERYWHERE = THEIRS | {"trace_aggregate_rows": AGGREGATES}


def count(client: Client, person: Person) -> dict[str, int]:
    """Rows of each table that are theirs, by what is noted."""
    return {table: count_in(client, table, theirs, person) for table, theirs in EVERYWHERE.items()}


def count_in(client: Client, table: str, theirs: str, person: Person) -> int:
    """Rows of one table that meet the condition."""
    query = f"SELECT count() FROM feedback.{table} WHERE {theirs}"
    return int(client.query(query, person.parameters).result_rows[0][0])


def count_without_noting(client: Client, person: Person) -> dict[str, int]:
    """Rows of each table that an erasure would remove. Nothing is written."""
    columns = f"SELECT workspace, user, kind::String AS kind, id FROM {NOTES} WHERE {THEIR_NOTES}"
    notes: list[tuple[str, ...]] = [tuple(row) for row in client.query(columns, person.parameters).result_rows]

    def ask(query: str) -> list[tuple[str, ...]]:
        along = ExternalData(
            file_name="noted",
            data=b"\n".join(map(msgspec.json.encode, notes)),
            fmt="JSONCompactEachRow",
            structure=["workspace String", "user String", "kind String", "id String"],
        )
        found = client.query(query.replace(NOTES, "noted"), person.parameters, external_data=along)
        return [tuple(row) for row in found.result_rows]

    for kind, found in FOUND.items():
        notes += [(person.workspace, person.user, kind, row[0]) for row in ask(found)]
    return {
        table: int(ask(f"SELECT count() FROM feedback.{table} WHERE {theirs}")[0][0])
        for table, theirs in EVERYWHERE.items()
    }

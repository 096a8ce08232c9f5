"""The rows that an erasure removes, as SQL conditions for each table.

The rows that identify the person's data are removed on the way. So their ids are noted first, in `erasures_under_way`
or, for a dry run, in a table that is sent with the query, and every condition uses these notes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.external import ExternalData

from schemas.topics import FEEDBACK_EVENTS


@dataclass(frozen=True)
class Subject:
    """What an erasure removes: the rows of a person, or of other traces.

    `user` is the name for its notes. `id_queries` select the ids of each kind, in order. `row_conditions` select the
    rows of each table that are removed before the rest is recomputed. `journal_change` is the change of the journal.
    """

    workspace: str
    user: str
    id_queries: Mapping[str, str]
    row_conditions: Mapping[str, str]
    journal_change: str
    extra_parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of its statements."""
        return {"workspace": self.workspace, "user": self.user, **self.extra_parameters}


NOTES = "feedback.erasures_under_way"
OWN_NOTES = "workspace = {workspace:String} AND user = {user:String}"


def is_noted(kind: str, column: str) -> str:
    """SQL for whether the id in this column is noted."""
    return f"toString({column}) IN {_noted(kind)}"


def _noted(kind: str) -> str:
    return f"(SELECT id FROM {NOTES} WHERE {OWN_NOTES} AND kind = '{kind}')"


ENTRY_IN_WORKSPACE = "JSONExtractString(entry, 'workspace') = {workspace:String}"


def dead_letter_condition(condition: str) -> str:
    """SQL for dead letters whose record meets the condition, or was erased before, or that are about noted feedback."""
    places = "topic, kafka_partition, sequence"
    is_returned = f"({places}) IN (SELECT {places} FROM feedback.erased_records)"
    about = f"{condition} OR feedback_id IN {_noted('feedback')} OR {is_returned}"
    return f"JSONExtractString(value, 'workspace') = {{workspace:String}} AND ({about})"


_WAS_ERASED = f"""(kafka_partition, sequence) IN (
    SELECT kafka_partition, sequence FROM feedback.erased_records WHERE topic = '{FEEDBACK_EVENTS}'
)"""
# The events say nothing of whom they were erased for. Feedback that has been sent anew since is not among it.
RETURNED_FEEDBACK = f"""
    SELECT toString(id) AS id FROM feedback.journal
    WHERE kind = 'feedback' AND {ENTRY_IN_WORKSPACE}
        AND id IN (SELECT id FROM feedback.journal WHERE kind = 'feedback' AND {_WAS_ERASED})
    GROUP BY id HAVING min({_WAS_ERASED})"""
"""The ids of feedback of which only events are stored that were erased before, and were read again since."""

EVENTS = f"kind = 'feedback' AND {is_noted('feedback', 'id')}"
FACTS = f"kind = 'request' AND {is_noted('request', 'id')} AND position(entry, {{fact:String}}) > 0"

_TRACES = f"workspace = {{workspace:String}} AND trace_id IN {_noted('trace')}"
SHARED = (
    f"SELECT DISTINCT trace_id FROM feedback.feedback_rows WHERE {_TRACES}"
    f" AND toString(feedback_id) NOT IN {_noted('feedback')}"
)
AGGREGATES = f"{_TRACES} AND trace_id NOT IN ({SHARED})"

# The rows of a person in each table.
PERSON_ROWS = {
    "feedback_rows": is_noted("feedback", "feedback_id"),
    "feedback_hour_rows": is_noted("feedback", "feedback_id"),
    "request_log_rows": is_noted("request", "request_id"),
    "journal": f"{EVENTS} OR {FACTS}",
    "dead_letters": dead_letter_condition("JSONExtractString(value, '_user') = {user:String}"),
    "rollup_rows": "workspace = {workspace:String} AND dimension = 'user' AND key = {user:String}",
}
# The ids of each kind, found by those of the kinds before it.
_ID_QUERIES = {
    "feedback": f"""
        SELECT toString(feedback_id) AS id FROM feedback.feedback_rows
        WHERE workspace = {{workspace:String}} AND (_user = {{user:String}} OR home_user = {{user:String}})
        UNION DISTINCT SELECT toString(feedback_id) FROM feedback.feedback_hour_rows
        WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal
        WHERE kind = 'feedback' AND JSONExtractString(entry, '_user') = {{user:String}} AND {ENTRY_IN_WORKSPACE}
        UNION DISTINCT {RETURNED_FEEDBACK}""",
    "request": f"""
        SELECT toString(request_id) AS id FROM feedback.request_log_rows
        WHERE workspace = {{workspace:String}} AND _user = {{user:String}}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal
        WHERE kind = 'request' AND JSONExtractString(entry, 'user') = {{user:String}} AND {ENTRY_IN_WORKSPACE}""",
    "trace": f"""
        SELECT DISTINCT trace_id AS id FROM feedback.feedback_rows
        WHERE workspace = {{workspace:String}} AND trace_id IN (
            SELECT trace_id FROM feedback.feedback_rows WHERE {PERSON_ROWS["feedback_rows"]}
            UNION DISTINCT SELECT trace_id FROM feedback.request_log_rows WHERE {PERSON_ROWS["request_log_rows"]}
        )""",
    "hour": f"""
        SELECT toString(toUnixTimestamp(hour)) AS id FROM feedback.feedback_hour_rows
        WHERE {PERSON_ROWS["feedback_hour_rows"]}
        UNION DISTINCT SELECT toString(toUnixTimestamp(start)) FROM feedback.rollup_rows
        WHERE period = 'hour' AND {PERSON_ROWS["rollup_rows"]}""",
}


def subject_of(workspace: str, user: str) -> Subject:
    """All data that names this person as its `_user`."""
    fact = ',"user":' + msgspec.json.encode(user).decode()
    forget_them = f"UPDATE line = replaceOne(line, {{fact:String}}, '') WHERE {FACTS}, DELETE WHERE {EVENTS}"
    return Subject(workspace, user, _ID_QUERIES, PERSON_ROWS, forget_them, {"fact": fact})


def count(client: Client, subject: Subject) -> dict[str, int]:
    """How many rows of each table the notes select."""
    return _in_order(client.query(_count_query(subject), subject.parameters).result_rows, subject)


def count_in(client: Client, table: str, condition: str, subject: Subject) -> int:
    """How many rows of one table meet the condition."""
    query = f"SELECT count() FROM feedback.{table} WHERE {condition}"
    return int(client.query(query, subject.parameters).result_rows[0][0])


def _count_query(subject: Subject) -> str:
    # One statement, since planning each takes longer than most of these counts.
    conditions = _all_row_conditions(subject).items()
    return " UNION ALL ".join(
        f"SELECT '{table}', count() FROM feedback.{table} WHERE {condition}" for table, condition in conditions
    )


def _in_order(rows: Iterable[Sequence[Any]], subject: Subject) -> dict[str, int]:
    counts = {table: int(number) for table, number in rows}
    return {table: counts[table] for table in _all_row_conditions(subject)}


def _all_row_conditions(subject: Subject) -> dict[str, str]:
    return {**subject.row_conditions, "trace_aggregate_rows": AGGREGATES}


def count_dry_run(client: Client, subject: Subject) -> dict[str, int]:
    """How many rows of each table an erasure would remove. Nothing is written."""
    columns = f"SELECT workspace, user, kind::String AS kind, id FROM {NOTES} WHERE {OWN_NOTES}"
    notes: list[tuple[str, ...]] = [tuple(row) for row in client.query(columns, subject.parameters).result_rows]

    def query_with_notes(query: str) -> list[tuple[str, ...]]:
        along = ExternalData(
            file_name="noted",
            data=b"\n".join(map(msgspec.json.encode, notes)),
            fmt="JSONCompactEachRow",
            structure=["workspace String", "user String", "kind String", "id String"],
        )
        found = client.query(query.replace(NOTES, "noted"), subject.parameters, external_data=along)
        return [tuple(row) for row in found.result_rows]

    for kind, found in subject.id_queries.items():
        notes += [(subject.workspace, subject.user, kind, row[0]) for row in query_with_notes(found)]
    return _in_order(query_with_notes(_count_query(subject)), subject)

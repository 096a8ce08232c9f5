"""The subject of an erasure that removes the demo: all requests and feedback on its traces. The rollups are computed
again without them.
"""

from clickhouse_connect.driver.client import Client

from deploy.demo.trace_ids import sql_is_demo
from operations.erase.conditions import (
    ENTRY_IN_WORKSPACE,
    EVENTS,
    RETURNED_FEEDBACK,
    Subject,
    dead_letter_condition,
    is_noted,
)

# The name for the notes of this erasure; no person has an empty name.
_NOBODY = ""
_STANDS = "workspace = {workspace:String} AND " + sql_is_demo("trace_id")
_TRACE_OF_ENTRY = "JSONExtractString(entry, 'trace_id')"
_IN_JOURNAL = f"position(entry, 'demo-') > 0 AND {ENTRY_IN_WORKSPACE} AND {sql_is_demo(_TRACE_OF_ENTRY)}"
_GONE_FROM_JOURNAL = f"{EVENTS} OR kind = 'request' AND {is_noted('request', 'id')}"

_ID_QUERIES = {
    "feedback": f"""
        SELECT toString(feedback_id) AS id FROM feedback.feedback_rows WHERE {_STANDS}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal WHERE kind = 'feedback' AND {_IN_JOURNAL}
        UNION DISTINCT {RETURNED_FEEDBACK}""",
    "request": f"""
        SELECT toString(request_id) AS id FROM feedback.request_log_rows WHERE {_STANDS}
        UNION DISTINCT SELECT toString(id) FROM feedback.journal WHERE kind = 'request' AND {_IN_JOURNAL}""",
    "trace": f"""
        SELECT trace_id AS id FROM feedback.feedback_rows WHERE {_STANDS}
        UNION DISTINCT SELECT trace_id FROM feedback.trace_aggregate_rows WHERE {_STANDS}""",
    "hour": f"""
        SELECT DISTINCT toString(toUnixTimestamp(hour)) AS id FROM feedback.feedback_hour_rows
        WHERE {is_noted("feedback", "feedback_id")}""",
}
_THEIRS = {
    "feedback_rows": is_noted("feedback", "feedback_id"),
    "feedback_hour_rows": is_noted("feedback", "feedback_id"),
    "request_log_rows": is_noted("request", "request_id"),
    "journal": _GONE_FROM_JOURNAL,
    "dead_letters": dead_letter_condition(sql_is_demo("JSONExtractString(value, 'trace_id')")),
}
_STANDS_SOMEWHERE = f"""
SELECT count() FROM (
    (SELECT 1 FROM feedback.request_log_rows WHERE {_STANDS} LIMIT 1)
    UNION ALL (SELECT 1 FROM feedback.feedback_rows WHERE {_STANDS} LIMIT 1)
)
"""


def demo_in(workspace: str) -> Subject:
    """All demos in a workspace, whatever their seeds."""
    return Subject(workspace, _NOBODY, _ID_QUERIES, _THEIRS, f"DELETE WHERE {_GONE_FROM_JOURNAL}")


def is_there(client: Client, workspace: str) -> bool:
    """Whether the workspace has anything of a demo."""
    return bool(client.query(_STANDS_SOMEWHERE, {"workspace": workspace}).result_rows[0][0])

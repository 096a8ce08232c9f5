"""Feedback that no request has joined, counted by its age, environment and organisation."""

from typing import Any

from clickhouse_connect.driver.client import Client

_AGES = """
SELECT
    multiIf(hours < 1, 'under 1 h', hours < 24, '1 h to 1 d', hours < 168, '1 d to 7 d', hours < 720, '7 d to 30 d',
        'over 30 d') AS age,
    toString(_environment), _organisation, countIf(join_state = 'pending'), countIf(join_state = 'orphaned'),
    toString(min(created_at)), argMin(trace_id, created_at)
FROM (
    SELECT dateDiff('second', created_at, now64(3)) / 3600 AS hours, * FROM feedback.feedback
    WHERE join_state != 'joined' AND workspace = {workspace:String}
)
GROUP BY age, _environment, _organisation
ORDER BY min(hours), count() DESC
"""
COLUMNS = ["age", "environment", "organisation", "pending", "orphaned", "oldest", "its trace id"]


def orphan_counts(client: Client, workspace: str) -> list[list[Any]]:
    """Rows of COLUMNS, youngest first."""
    return [list(row) for row in client.query(_AGES, {"workspace": workspace}).result_rows]

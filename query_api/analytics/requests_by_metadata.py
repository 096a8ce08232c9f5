"""Requests by what they say under one key of their metadata, and the feedback on their traces: a page of groups.

Groups are found first, without their feedback, and feedback is looked up for those of the page alone: of a key that has
thousands of values a page is a few requests.
"""

from typing import Any

from query_api.analytics.group_pages import group_page
from query_api.analytics.parameters import Page
from query_api.clickhouse import Reader
from query_api.filters.conditions import Conditions, conditions_on_requests
from query_api.filters.parameters import SPECIALS, LogFilters

_GROUPS = """
SELECT
    {value} AS metadata_value, count() AS requests, sum(r.cost) AS cost,
    if(count(total_tokens) = 0, NULL, sum(toUInt128(total_tokens)) / count(total_tokens)) AS avg_tokens,
    max(started_at) AS last_seen,
    (SELECT count() FROM feedback.trace_aggregate_rows WHERE workspace = {{workspace:String}}) AS traces
FROM feedback.request_logs AS r WHERE {asked} GROUP BY metadata_value
"""
_FEEDBACK = """
SELECT t.value AS metadata_value, sum(a.feedback_count) AS feedback_count, sum(a.value_weight_sum) AS value_weight,
    sum(a.weight_sum) AS weight, sum(t.n) AS requests_with_feedback
FROM (
    SELECT {value} AS value, trace_id, count() AS n FROM feedback.request_logs AS r
    WHERE {asked} AND value IN {{page:Array(String)}} GROUP BY value, trace_id
) AS t
INNER JOIN (
    SELECT trace_id, feedback_count, value_weight_sum, weight_sum FROM feedback.trace_aggregates
    WHERE workspace = {{workspace:String}} AND feedback_count > 0 AND {judged}
) AS a USING (trace_id)
GROUP BY metadata_value
"""
_THESE_TRACES = """
trace_id IN (SELECT r.trace_id FROM feedback.request_logs AS r WHERE {asked} AND {value} IN {{page:Array(String)}})
"""
# To look a trace up costs as much as to read so many.
_WORTH_A_LOOK_UP = 8
_NO_FEEDBACK = {"feedback_count": 0, "value_weight": 0, "weight": 0, "requests_with_feedback": 0}


async def requests_by_metadata(
    reader: Reader, filters: LogFilters, key: str, page: Page
) -> tuple[int, list[dict[str, Any]]]:
    """How many groups there are, and those of the page, those with the most requests first. Raises what the client
    raises."""
    special = key in SPECIALS
    value = f"r.{key}::String" if special else "r.metadata_texts[{group_key:String}]"
    asked = conditions_on_requests(filters, "r")
    parameters = asked.parameters | ({} if special else {"group_key": key})
    groups = _GROUPS.format(value=value, asked=asked.text)
    total, rows = await group_page(reader, groups, parameters, "requests DESC, metadata_value", page)
    feedback = await _feedback(reader, Conditions(asked.parts, parameters), value, rows) if rows else {}
    return total, [row | feedback.get(row["metadata_value"], _NO_FEEDBACK) for row in rows]


async def _feedback(
    reader: Reader, asked: Conditions, value: str, groups: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The feedback on the traces of some groups, by their values."""
    requests, traces = sum(group["requests"] for group in groups), groups[0]["traces"]
    judged = _THESE_TRACES if requests * _WORTH_A_LOOK_UP < traces else "true"
    query = _FEEDBACK.format(asked=asked.text, value=value, judged=judged.format(asked=asked.text, value=value))
    rows = await reader.rows(query, asked.parameters | {"page": [group["metadata_value"] for group in groups]})
    return {row["metadata_value"]: row for row in rows}

"""Requests by what they say under one key of their metadata, and the feedback on their traces: a page of groups.

Groups are found first, without their feedback, and feedback is looked up for those of the page alone: of a key that has
thousands of values a page is a few requests. Where these began is known by then, so of a key whose values come and go,
such as a session, nothing else of the month is read again.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from query_api.analytics.group_pages import group_page
from query_api.analytics.parameters import Page
from query_api.clickhouse import Reader
from query_api.current_rows import RANK
from query_api.filters.conditions import MOST_LOOKED_UP, Conditions, conditions_on_requests, milliseconds
from query_api.filters.parameters import SPECIALS, LogFilters

_GROUPS = """
SELECT
    {value} AS metadata_value, count() AS requests, sum(r.cost) AS cost,
    if(count(total_tokens) = 0, NULL, sum(toUInt128(total_tokens)) / count(total_tokens)) AS avg_tokens,
    min(started_at) AS first_seen, max(started_at) AS last_seen,
    (SELECT count() FROM feedback.trace_aggregate_rows WHERE workspace = {{workspace:String}}) AS traces
FROM feedback.request_logs AS r WHERE {asked} GROUP BY metadata_value
"""
# Requests and what their traces add up to meet in one grouping by trace, which costs half of what a join of both does.
# A value is identified by its place on the page, so that a trace takes as few bytes as may be.
_FEEDBACK = """
SELECT place, count() AS requests_with_feedback, sumIf(trace.feedback_count, nth = 1) AS feedback_count,
    sumIf(trace.value_weight, nth = 1) AS value_weight, sumIf(trace.weight, nth = 1) AS weight
FROM (
    SELECT sum(numbers.1) AS feedback_count, sum(numbers.2) AS value_weight, sum(numbers.3) AS weight,
        groupArray(place) AS places
    FROM (
        SELECT trace_id, (feedback_count, value_weight_sum, weight_sum) AS numbers, 0::UInt16 AS place
        FROM ({judged}) WHERE feedback_count > 0
        UNION ALL
        SELECT r.trace_id, (0, 0, 0),
            transform({value}, {{page:Array(String)}}, {{places:Array(UInt16)}}, 0::UInt16) AS place
        FROM feedback.request_logs AS r WHERE {asked} AND place > 0
    )
    GROUP BY trace_id HAVING feedback_count > 0
) AS trace
ARRAY JOIN places AS place, arrayEnumerateUniq(places) AS nth
WHERE place > 0 GROUP BY place
"""
_OF_ALL_TRACES = """
SELECT trace_id, feedback_count, value_weight_sum, weight_sum FROM feedback.trace_aggregates
WHERE workspace = {{workspace:String}}
"""
# A request that is stored twice is the same row twice. FINAL would take longer to put together what is left.
_OF_THESE_TRACES = f"""
SELECT trace_id, feedback_count, value_weight_sum, weight_sum FROM (
    SELECT trace_id, feedback_count, value_weight_sum, weight_sum, is_expired FROM feedback.trace_aggregate_rows
    WHERE workspace = {{{{workspace:String}}}} AND trace_id IN (
        SELECT r.trace_id FROM feedback.request_log_rows AS r
        WHERE {{asked}} AND {{value}} IN {{{{page:Array(String)}}}}
    )
    ORDER BY {RANK} DESC LIMIT 1 BY trace_id
    SETTINGS use_index_for_in_with_subqueries_max_values = {MOST_LOOKED_UP}
)
WHERE NOT is_expired
"""
_ALL_TO_THESE = 2
"""From so many times as many traces as a page has requests on, the page's are picked out before they are grouped."""
_MOST_GAPS = 100
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
    began = merged_intervals((group["first_seen"], group["last_seen"]) for group in groups)
    first, last = (f"fromUnixTimestamp64Milli({{{end}_%d:Int64}})" for end in ("first", "last"))
    asked.add(
        " OR ".join(f"r.started_at BETWEEN {first} AND {last}" % (n, n) for n in range(len(began))),
        **{f"first_{n}": milliseconds(each) for n, (each, _) in enumerate(began)},
        **{f"last_{n}": milliseconds(each) for n, (_, each) in enumerate(began)},
    )
    judged = _OF_THESE_TRACES if requests * _ALL_TO_THESE < traces else _OF_ALL_TRACES
    query = _FEEDBACK.format(asked=asked.text, value=value, judged=judged.format(asked=asked.text, value=value))
    page = [group["metadata_value"] for group in groups]
    places = list(range(1, len(page) + 1))
    rows = await reader.rows(query, asked.parameters | {"page": page, "places": places})
    return {page[row.pop("place") - 1]: row for row in rows}


def merged_intervals(times: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """All of these times, ends included, as few intervals of which none touch: a hundred and one at most."""
    ordered = sorted(times)
    nearest = (max(last for _, last in ordered) - ordered[0][0]) / _MOST_GAPS
    found = ordered[:1]
    for first, last in ordered[1:]:
        if first - found[-1][1] <= nearest:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found

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
from query_api.trace_rows import trace_number

_GROUPS = """
SELECT
    {value} AS metadata_value, count() AS requests, sum(r.cost) AS cost,
    if(count(total_tokens) = 0, NULL, sum(toUInt128(total_tokens)) / count(total_tokens)) AS avg_tokens,
    min(started_at) AS first_seen, max(started_at) AS last_seen,
    (SELECT count() FROM feedback.trace_aggregate_rows WHERE workspace = {{workspace:String}}) AS traces
FROM feedback.request_logs AS r WHERE {asked} GROUP BY metadata_value
"""
# Requests are counted by trace and value first, so that a trace counts once for each of its values. A value is its
# place on the page, so that a trace takes few bytes. The table of the join is made of what stands on the right.
_FEEDBACK = """
SELECT place, sum(number) AS requests_with_feedback, sum(j.feedback_count) AS feedback_count,
    sum(j.value_weight_sum) AS value_weight, sum(j.weight_sum) AS weight
FROM {joined} GROUP BY place
"""
_REQUESTS = """
SELECT {trace} AS trace, transform({value}, {{page:Array(String)}}, {{places:Array(UInt16)}}, 0::UInt16) AS place,
    count() AS number
FROM feedback.request_log_rows AS r FINAL {chosen} GROUP BY trace, place
"""
_BESIDE_ALL_TRACES = f"""
({_REQUESTS}) AS asked INNER JOIN (
    SELECT {trace_number()} AS trace, feedback_count, value_weight_sum, weight_sum FROM feedback.trace_aggregates
    WHERE workspace = {{{{workspace:String}}}} AND feedback_count > 0
) AS j ON j.trace = asked.trace
"""
# FINAL would take longer to put together the numbers of all traces, of which few are left.
_BESIDE_THESE_TRACES = f"""
(
    SELECT place, number, feedback_count, value_weight_sum, weight_sum FROM (
        SELECT asked.place AS place, asked.number AS number, a.* FROM (
            SELECT {trace_number()} AS trace, feedback_count, value_weight_sum, weight_sum, is_expired, version,
                _block_number
            FROM feedback.trace_aggregate_rows WHERE workspace = {{{{workspace:String}}}}{{looked_up}}
        ) AS a INNER JOIN ({_REQUESTS}) AS asked ON asked.trace = a.trace
        ORDER BY {RANK} DESC LIMIT 1 BY trace, place
    )
    WHERE NOT is_expired AND feedback_count > 0
) AS j
"""
# A request that is stored twice is the same row twice.
_LOOKED_UP = """
 AND trace_id IN (
    SELECT r.trace_id FROM feedback.request_log_rows AS r WHERE {asked} AND {value} IN {{page:Array(String)}}
)
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
    named = {"value": value, "trace": trace_number("r")}
    if requests * _ALL_TO_THESE < traces:
        chosen = f"PREWHERE {value} IN {{page:Array(String)}} WHERE {asked.text}"
        looked_up = _LOOKED_UP.format(asked=asked.text, value=value) if requests <= MOST_LOOKED_UP else ""
        joined = _BESIDE_THESE_TRACES.format(chosen=chosen, looked_up=looked_up, **named)
    else:
        joined = _BESIDE_ALL_TRACES.format(chosen=f"WHERE {asked.text} AND place > 0", **named)
    page = [group["metadata_value"] for group in groups]
    places = list(range(1, len(page) + 1))
    rows = await reader.rows(_FEEDBACK.format(joined=joined), asked.parameters | {"page": page, "places": places})
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

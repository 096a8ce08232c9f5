"""The feedback on the traces of requests that are grouped by one value, for the groups of a page.

Requests are counted by trace and value first, so that a trace counts once for each of its values. A value is its place
on the page, so that a trace takes few bytes. The table of a join is made of what stands on the right.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from query_api.analytics.request_days import IS_OF_A_KEPT_DAY, KEPT, KeyOfRequests
from query_api.clickhouse import Reader
from query_api.current_rows import RANK
from query_api.filters.conditions import MOST_LOOKED_UP, Conditions, within_any
from query_api.filters.metadata_conditions import says_one_of
from query_api.trace_rows import trace_number

_SUMS = """
SELECT place, sum(number) AS requests_with_feedback, sum(j.feedback_count) AS feedback_count,
    sum(j.value_weight_sum) AS value_weight, sum(j.weight_sum) AS weight
FROM ({}) AS j GROUP BY place
"""
_TRACES = "SELECT count() AS traces FROM feedback.trace_aggregate_rows WHERE workspace = {workspace:String}"
_ALL_TO_THESE = 2
"""From so many times as many traces as a page has requests on, the page's are picked out before they are grouped."""
_IN_ALL_GRANULES = 100_000
"""The traces of so many requests are in nearly all granules, so it is faster to read every column of all traces than to
choose them by a few columns first."""
_MOST_GAPS = 100
_UNIT = timedelta(milliseconds=1)
_NO_FEEDBACK = {"feedback_count": 0, "value_weight": 0, "weight": 0, "requests_with_feedback": 0}


async def feedback_of_groups(
    reader: Reader, asked: Conditions, of: KeyOfRequests, groups: list[dict[str, Any]], *, beside_days: bool
) -> dict[str, dict[str, Any]]:
    """The feedback of each group, by its `metadata_value`; of kept days too if `asked` is what is asked beside these.

    `asked` are conditions on a request `r`. Raises what the client raises.
    """
    page = [group["metadata_value"] for group in groups]
    seen = merged_intervals((group["first_seen"], group["last_seen"]) for group in groups)
    conditions = Conditions([*asked.parts], {**asked.parameters, "places": [*range(1, len(page) + 1)]})
    within_any(conditions, "r.started_at", "seen", [(first, last + _UNIT) for first, last in seen])
    is_of_page, said = says_one_of(of.key, of.value, page, "r.")
    conditions.parameters |= said
    number = sum(group["requests"] for group in groups)
    if beside_days:
        chosen = _requests(of.value, f"PREWHERE {is_of_page} WHERE {conditions.text}")
        joined = _with_those_of_days(chosen, reads_all=number >= _IN_ALL_GRANULES)
    else:
        (stored,) = await reader.rows(_TRACES, asked.parameters)
        if number * _ALL_TO_THESE >= stored["traces"]:
            joined = _beside_all_traces(_requests(of.value, f"WHERE {conditions.text} AND place > 0"))
        else:
            # A request that is stored twice is the same row twice.
            of_page = f"{conditions.text} AND {is_of_page}"
            traces = f"trace_id IN (SELECT r.trace_id FROM feedback.request_log_rows AS r WHERE {of_page})"
            joined = _beside_these_traces(
                _requests(of.value, f"PREWHERE {is_of_page} WHERE {conditions.text}"),
                traces if number <= MOST_LOOKED_UP else "true",
            )
    rows = await reader.rows(_SUMS.format(joined), conditions.parameters)
    found = {page[row.pop("place") - 1]: row for row in rows}
    return {each: found.get(each, _NO_FEEDBACK) for each in page}


def _place(value: str) -> str:
    return f"transform({value}, {{said:Array(String)}}, {{places:Array(UInt16)}}, 0::UInt16)"


def _requests(value: str, chosen: str) -> str:
    return f"""
    SELECT {trace_number("r")} AS trace, {_place(value)} AS place, count() AS number
    FROM feedback.request_log_rows AS r FINAL {chosen} GROUP BY trace, place
    """


def _beside_all_traces(requests: str) -> str:
    return f"""
    SELECT place, number, feedback_count, value_weight_sum, weight_sum FROM ({requests}) AS asked INNER JOIN (
        SELECT {trace_number()} AS trace, feedback_count, value_weight_sum, weight_sum FROM feedback.trace_aggregates
        WHERE workspace = {{workspace:String}} AND feedback_count > 0
    ) AS t ON t.trace = asked.trace
    """


def _beside_these_traces(requests: str, traces: str, *, reads_all: bool = False) -> str:
    """FINAL would take longer to put together the numbers of all traces, of which few are left."""
    return f"""
    SELECT place, number, feedback_count, value_weight_sum, weight_sum FROM (
        SELECT asked.place AS place, asked.number AS number, a.* FROM (
            SELECT {trace_number()} AS trace, feedback_count, value_weight_sum, weight_sum, is_expired, version,
                _block_number
            FROM feedback.trace_aggregate_rows WHERE workspace = {{workspace:String}} AND ({traces})
            SETTINGS optimize_move_to_prewhere = {int(not reads_all)}
        ) AS a INNER JOIN ({requests}) AS asked ON asked.trace = a.trace
        ORDER BY {RANK} DESC LIMIT 1 BY trace, place
    )
    WHERE NOT is_expired AND feedback_count > 0
    """


def _with_those_of_days(requests: str, *, reads_all: bool) -> str:
    """A trace that is of one kept day is in the numbers of that day, and in no others."""
    requests = f"""
    SELECT trace, place, sum(number) AS number FROM (
        {requests}
        UNION ALL
        SELECT others.trace, {_place("others.value")} AS place, others.requests
        FROM ({KEPT}) ARRAY JOIN others WHERE place > 0
    )
    GROUP BY trace, place
    """
    return f"""
    {_beside_these_traces(requests, f"NOT ({IS_OF_A_KEPT_DAY})", reads_all=reads_all)}
    UNION ALL
    SELECT {_place("groups.value")} AS place, groups.with_feedback, groups.feedback_count, groups.value_weight_sum,
        groups.weight_sum
    FROM ({KEPT}) ARRAY JOIN groups WHERE place > 0
    """


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

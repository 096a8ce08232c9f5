"""Requests by what they say under one key of their metadata, and the feedback on their traces: a page of groups.

Groups are found first, without their feedback, and feedback is looked up for those of the page alone: of a key that has
thousands of values a page is a few requests. So of a key whose values few requests share, groups are only counted, and
what the requests of the page add up to is found by an index. Whole days are read from what is kept of them
(request_days.py).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from query_api.analytics.feedback_of_groups import feedback_of_groups
from query_api.analytics.group_pages import group_page
from query_api.analytics.parameters import Page
from query_api.analytics.request_days import (
    KEPT,
    MOST_GROUPS,
    DaysOfKey,
    KeyOfRequests,
    kept_days,
    parameters_of,
    time_beside,
    whole_days,
)
from query_api.analytics.request_measures import COST_SUM, cents
from query_api.clickhouse import Reader
from query_api.filters.conditions import Conditions, conditions_on_requests, within_any
from query_api.filters.metadata_conditions import says_one_of
from query_api.filters.parameters import SPECIALS, LogFilters

_OF_ROWS = """
SELECT
    {value} AS metadata_value, count() AS requests, {cost} AS cost_sum,
    sum(toUInt128(ifNull(r.total_tokens, 0))) AS tokens, count(r.total_tokens) AS tokens_n,
    min(r.started_at) AS first_seen, max(r.started_at) AS last_seen
FROM feedback.request_logs AS r WHERE {asked} GROUP BY metadata_value
"""
_COUNTED = """
SELECT {value} AS metadata_value, count() AS requests FROM feedback.request_logs AS r WHERE {asked}
GROUP BY metadata_value
"""
_SAMPLE = """
SELECT uniqExact(value) AS values, countIf(value = '') AS without FROM (
    SELECT {value} AS value FROM feedback.request_log_rows AS r WHERE {asked} LIMIT {{sample:UInt32}}
)
"""
_ORDER = "requests DESC, metadata_value"
_SAMPLED = 100_000
_FEW = 20
"""Requests with one value, on average of a sample: up to here a page of fifty values is found by the index."""
_OF_ROWS_AND_DAYS = """
SELECT metadata_value, sum(each.requests) AS requests, sum(each.cost_sum) AS cost_sum, sum(each.tokens) AS tokens,
    sum(each.tokens_n) AS tokens_n, min(each.first_seen) AS first_seen, max(each.last_seen) AS last_seen
FROM (
    {rows}
    UNION ALL
    SELECT groups.value, groups.requests, groups.cost_sum, groups.tokens, groups.tokens_n, groups.first_seen,
        groups.last_seen
    FROM ({kept}) ARRAY JOIN groups
) AS each
GROUP BY metadata_value
"""


@dataclass(frozen=True)
class RequestGroups:
    """How many groups there are, those of the page, and the days that are worth keeping for the next question."""

    total: int
    page: list[dict[str, Any]]
    to_keep: DaysOfKey | None


async def requests_by_metadata(
    reader: Reader, filters: LogFilters, key: str, page: Page, now: datetime
) -> RequestGroups:
    """The groups with the most requests first; of filters that tell the time. Raises what the client raises."""
    value = f"r.{key}::String" if key in SPECIALS else "r.metadata_texts[{group_key:String}]"
    of = KeyOfRequests(filters.workspace, key, value)
    assert filters.since
    assert filters.until
    of_time = LogFilters(filters.workspace, filters.since, filters.until)
    days = whole_days(of, filters.since, filters.until, now) if filters == of_time else None
    kept = await kept_days(reader, days) if days else {}

    asked = conditions_on_requests(filters, "r")
    asked.parameters |= of.parameters
    if kept:
        beside = time_beside(kept, filters.since, filters.until)
        within_any(asked, "r.started_at", "beside", beside)
        asked.parameters |= parameters_of(kept)
    if kept or not await _has_few_requests_each(reader, of_time, of):
        groups = _OF_ROWS.format(value=value, cost=COST_SUM, asked=asked.text)
        if kept:
            groups = _OF_ROWS_AND_DAYS.format(rows=groups, kept=KEPT)
        total, rows = await group_page(reader, groups, asked.parameters, _ORDER, page)
    else:
        total, rows = await _counted_first(reader, asked, of, page)
    feedback = await feedback_of_groups(reader, asked, of, rows, beside_days=bool(kept)) if rows else {}

    is_worth_keeping = total <= MOST_GROUPS and any(row["metadata_value"] for row in rows)
    return RequestGroups(
        total,
        [_read(row) | feedback[row["metadata_value"]] for row in rows],
        days if days and is_worth_keeping and len(kept) < len(days.each()) else None,
    )


async def _has_few_requests_each(reader: Reader, of_time: LogFilters, of: KeyOfRequests) -> bool:
    """Whether the index finds the requests of a page: those of the time say something under a key that it knows, few
    the same."""
    if of.key in SPECIALS:
        return False
    asked = conditions_on_requests(of_time, "r")
    sample = _SAMPLE.format(value=of.value, asked=asked.text)
    found = await reader.rows(sample, asked.parameters | of.parameters | {"sample": _SAMPLED})
    return any(each["values"] * _FEW >= _SAMPLED and not each["without"] for each in found)


async def _counted_first(
    reader: Reader, asked: Conditions, of: KeyOfRequests, page: Page
) -> tuple[int, list[dict[str, Any]]]:
    """How many groups there are, and those of the page, whose sums are looked up."""
    counted = _COUNTED.format(value=of.value, asked=asked.text)
    total, found = await group_page(reader, counted, asked.parameters, _ORDER, page)
    if not found:
        return total, []
    is_of_page, said = says_one_of(of.key, of.value, [each["metadata_value"] for each in found], "r.")
    groups = _OF_ROWS.format(value=of.value, cost=COST_SUM, asked=f"{asked.text} AND {is_of_page}")
    return total, await reader.rows(f"SELECT * FROM ({groups}) ORDER BY {_ORDER}", asked.parameters | said)


def _read(row: dict[str, Any]) -> dict[str, Any]:
    tokens, n = row.pop("tokens"), row.pop("tokens_n")
    return row | {"cost": cents(row.pop("cost_sum")), "avg_tokens": tokens / n if n else None}

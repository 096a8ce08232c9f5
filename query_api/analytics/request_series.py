"""Requests over time: a measure of all that were asked for and of each bucket, and their errors by status.

A request counts in the bucket in which it began (`started_at`), from the timeline's `since` up to, and without, its
`until`. Each query reads the time, the columns of the filters and those of what it measures, and counts a request that
was stored twice once. What a client raises is raised.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic

from query_api.analytics.request_measures import IS_ERROR, Measure, Value, select
from query_api.analytics.time_buckets import Timeline
from query_api.clickhouse import Reader
from query_api.filters.conditions import conditions_on_requests, milliseconds
from query_api.filters.parameters import LogFilters

_BUCKET = "roundDown(toUnixTimestamp64Milli(r.started_at), {cuts:Array(Int64)}) AS bucket"


@dataclass(frozen=True)
class Series(Generic[Value]):
    """A measure of everything that was asked for, and of each bucket by its start."""

    everything: Value
    points: list[tuple[datetime, Value]]


async def requests_over_time(
    reader: Reader, filters: LogFilters, when: Timeline, measure: Measure[Value]
) -> Series[Value]:
    """The measure over time; every bucket has a point."""
    # One more row, of the bucket 0, is of all buckets: percentiles and users cannot be made of those of buckets.
    rows = await _rows(reader, filters, when, f"SELECT {_BUCKET}, {select(measure)}", "GROUP BY bucket WITH ROLLUP")
    found = {row["bucket"]: row for row in rows}
    points = [
        (start, measure.read(found.get(milliseconds(cut), {})))
        for start, cut in zip(when.starts, when.cuts, strict=True)
    ]
    return Series(measure.read(found.get(0, {})), points)


async def errors_by_status(
    reader: Reader, filters: LogFilters, when: Timeline
) -> list[tuple[datetime, dict[int, int]]]:
    """For each bucket how many errors have each status, lowest status first."""
    rows = await _rows(
        reader,
        filters,
        when,
        f"SELECT {_BUCKET}, r.status AS code, count() AS errors",
        "GROUP BY bucket, code ORDER BY code",
        only=IS_ERROR,
    )
    found: dict[int, dict[int, int]] = {milliseconds(cut): {} for cut in when.cuts}
    for row in rows:
        found[row["bucket"]][row["code"]] = row["errors"]
    return list(zip(when.starts, found.values(), strict=True))


async def _rows(
    reader: Reader, filters: LogFilters, when: Timeline, select_text: str, group_text: str, only: str = "true"
) -> list[dict[str, Any]]:
    asked = conditions_on_requests(replace(filters, since=when.since, until=when.until), "r")
    text = f"{select_text} FROM feedback.request_logs AS r WHERE {asked.text} AND {only} {group_text}"
    return await reader.rows(text, asked.parameters | {"cuts": [milliseconds(cut) for cut in when.cuts]})

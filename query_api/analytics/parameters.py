"""What a question to analytics asks besides its filters: the buckets of a graph, or a page of groups.

Pure. Each fault is an ApiError that names its parameter.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from query_api.analytics.plan import Dimension, Plan, plan, rows_alone
from query_api.analytics.time_buckets import BUCKETS, Bucket, Timeline, bucket_of, timeline, zone_of
from query_api.auth import REFUSALS
from query_api.clickhouse import AWAY
from query_api.errors import example
from query_api.filters.parameter_values import shown
from query_api.filters.parameters import LogFilters, filters_in_query, parameter
from runtime.http_errors import ApiError

Direction = Literal["asc", "desc"]

PAGE_SIZE, MAX_PAGE_SIZE = 50, 1000

NO_ANSWER = "these numbers cannot be computed"
FAILURES: dict[int | str, dict[str, Any]] = REFUSALS | {
    400: {"description": "A parameter is faulty.", **example(400, "status_code must be an HTTP status", "status_code")},
    503: AWAY,
}

BUCKET_PARAMETERS = [
    parameter("bucket", f"{', '.join(BUCKETS)}; by default hours up to 3 days, days up to 92, weeks to 731.", "day"),
    parameter("time_zone", "IANA name of the zone in which buckets begin; UTC by default.", "Europe/Berlin"),
]
READ_FROM = parameter("read_from", "`rows` leaves rollups aside; by default they serve where they can.", "rows")
PAGE_PARAMETERS = [
    parameter("page_size", f"Groups in one answer, 1 to {MAX_PAGE_SIZE}; {PAGE_SIZE} by default.", PAGE_SIZE),
    parameter("current_page", "Which page, from 0.", 0),
]
PAGE_NAMES = ("page_size", "current_page")


@dataclass(frozen=True)
class GraphQuestion:
    """What a graph counts and the buckets it counts in: a single one where time is not asked for."""

    filters: LogFilters
    when: Timeline
    bucket: Bucket
    zone: ZoneInfo


@dataclass(frozen=True)
class Page:
    """A part of a list."""

    size: int = PAGE_SIZE
    skipped: int = 0


def graph_question(
    query: QueryParams, workspace: str, others: Collection[str] = (), *, over_time: bool
) -> GraphQuestion:
    """The question of a query string; `others` are parameters that the route takes besides."""
    own = (*others, "bucket", "time_zone") if over_time else others
    filters = filters_in_query(query, workspace, own, time_required=True)
    assert filters.since
    assert filters.until
    zone = zone_of(query.get("time_zone", "UTC"))
    bucket = bucket_of(query.get("bucket"), filters.since, filters.until)
    when = timeline(filters.since, filters.until, bucket, zone) if over_time else all_of(filters)
    return GraphQuestion(filters, when, bucket, zone)


def plan_asked(query: QueryParams, filters: LogFilters, when: Timeline, by: Dimension | None = None) -> Plan:
    """Where a query string has numbers of feedback read from."""
    if (read_from := query.get("read_from", "rollups")) not in ("rows", "rollups"):
        raise ApiError(f"read_from must be rows or rollups, got {shown(read_from)}", "read_from")
    return rows_alone(when) if read_from == "rows" else plan(filters, when, by, datetime.now(UTC))


def all_of(filters: LogFilters) -> Timeline:
    """The whole time of filters that must tell it, as one bucket."""
    assert filters.since
    assert filters.until
    return Timeline(filters.since, filters.until, (filters.since,))


def page_of_groups(query: QueryParams) -> Page:
    """The part of the groups that a query string asks for."""
    size = _whole(query, "page_size", PAGE_SIZE, 1, MAX_PAGE_SIZE)
    return Page(size, size * _whole(query, "current_page", 0, 0, 1_000_000))


def direction_of(query: QueryParams) -> Direction:
    """In which direction a query string has groups sorted."""
    given = query.get("order_by_type", "desc")
    if given not in get_args(Direction):
        raise ApiError(f"order_by_type must be asc or desc, got {shown(given)}", "order_by_type")
    return given  # type: ignore[return-value]


def _whole(query: QueryParams, name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise ApiError(f"{name} must be a whole number from {least} to {most}, got {text[:60]!r}", name)
    return int(text)

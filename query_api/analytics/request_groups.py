"""Requests by one of their fields: who makes them, with which model, and how each does.

`columns` says which numbers a group has, and only what they need is read. What has nothing in the field is the group
with the empty value. What a client raises is raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.analytics.group_pages import group_page
from query_api.analytics.parameters import PAGE_NAMES, PAGE_PARAMETERS, Direction, Page, direction_of, page_of_groups
from query_api.analytics.request_measures import (
    COST,
    ERROR_RATE,
    LATENCY,
    MEAN_LATENCY,
    REQUESTS,
    SEEN,
    TOKENS,
    Measure,
    select,
)
from query_api.clickhouse import Reader
from query_api.filters.conditions import conditions_on_requests
from query_api.filters.parameter_values import shown, truth_of, values_of
from query_api.filters.parameters import LogFilters, parameter
from runtime.http_errors import ApiError

GroupedBy = Literal["user", "organisation", "prompt", "environment", "model", "provider", "status", "workspace"]

_VALUES: dict[GroupedBy, str] = {
    "user": "r._user",
    "organisation": "r._organisation",
    "prompt": "r._prompt",
    "environment": "r._environment::String",
    "model": "r.model::String",
    "provider": "r.provider::String",
    "status": "r.status",
    "workspace": "r.workspace::String",
}


@dataclass(frozen=True)
class Column:
    """A number of each group: the measure and the field of it that tell it, and SQL by which groups are sorted."""

    measure: Measure[BaseModel]
    of_measure: str
    sort: str


def _percentile(percent: int, number: int) -> Column:
    # Of no values, ClickHouse makes quantiles of 0.
    return Column(LATENCY, f"p{percent}", f"if(latency_n = 0, NULL, latency_percentiles[{number}])")


COLUMNS = {
    "requests": Column(REQUESTS, "total", "requests"),
    "cost": Column(COST, "total", "cost_sum"),
    "total_tokens": Column(TOKENS, "total", "tokens_sum"),
    "avg_tokens": Column(TOKENS, "avg", "tokens_sum / tokens_n"),
    "avg_input_tokens": Column(TOKENS, "avg_input", "input_sum / input_n"),
    "avg_output_tokens": Column(TOKENS, "avg_output", "output_sum / output_n"),
    "avg_latency": Column(MEAN_LATENCY, "avg", "latency_sum / latency_n"),
    "p50_latency": _percentile(50, 1),
    "p90_latency": _percentile(90, 2),
    "p95_latency": _percentile(95, 3),
    "p99_latency": _percentile(99, 4),
    "error_count": Column(ERROR_RATE, "errors", "errors"),
    "success_rate": Column(ERROR_RATE, "success", "(requests - errors) / requests"),
    "first_seen": Column(SEEN, "first", "first_seen"),
    "last_seen": Column(SEEN, "last", "last_seen"),
}
STANDARD = tuple(name for name, column in COLUMNS.items() if column.measure is not LATENCY)
"""Percentiles take as long as all the others together."""


class RequestGroup(BaseModel):
    """The numbers of one group; those that were not asked for are left out, and null is what nothing tells."""

    requests: int | None = Field(None, examples=[10])
    cost: float | None = Field(None, description="US cents.", examples=[0.75])
    total_tokens: int | None = Field(None, examples=[1205])
    avg_tokens: float | None = Field(None, description="Over the requests that tell them.", examples=[120.5])
    avg_input_tokens: float | None = Field(None, examples=[100.5])
    avg_output_tokens: float | None = Field(None, examples=[20.0])
    avg_latency: float | None = Field(None, description="Milliseconds.", examples=[912.4])
    p50_latency: float | None = Field(None, examples=[840])
    p90_latency: float | None = Field(None, examples=[1510])
    p95_latency: float | None = Field(None, examples=[1900])
    p99_latency: float | None = Field(None, examples=[3120])
    error_count: int | None = Field(None, examples=[1])
    success_rate: float | None = Field(None, description="Percent.", examples=[90.0])
    first_seen: datetime | None = Field(None, description="When the first of them began.")
    last_seen: datetime | None = Field(None, description="When the last of them began.")
    object: Literal["analytics-group"] = "analytics-group"


@dataclass(frozen=True)
class GroupsAsked:
    """Which groups, with which numbers, in which order. Groups without the number sorted by come last."""

    columns: Sequence[str] = STANDARD
    order_by: str = "requests"
    order: Direction = "desc"
    page: Page = field(default_factory=Page)


PARAMETERS = [
    *PAGE_PARAMETERS,
    parameter("columns", f"Numbers of each group, with commas, of {', '.join(COLUMNS)}; by default all but"
              " percentiles.", "requests,cost,p95_latency"),
    parameter("order_by", "The number that groups are sorted by; `requests` by default.", "cost"),
    parameter("order_by_type", "desc or asc; desc by default.", "desc"),
    parameter("include_total", "true or false; `total` is there in any case.", "true"),
]  # fmt: skip
PARAMETER_NAMES = (*PAGE_NAMES, "columns", "order_by", "order_by_type", "include_total")


def groups_asked(query: QueryParams) -> GroupsAsked:
    """What a query string asks for besides its filters; ApiError naming the parameter at fault."""
    if "include_total" in query:
        truth_of(query["include_total"].lower(), "include_total")
    columns = values_of(query["columns"], "columns") if "columns" in query else STANDARD
    direction = direction_of(query)
    order_by = query.get("order_by", "requests")
    for name, text in (*(("columns", each) for each in columns), ("order_by", order_by)):
        if text not in COLUMNS:
            raise ApiError(f"{name} must be of {', '.join(COLUMNS)}, got {shown(text)}", name)
    return GroupsAsked(columns, order_by, direction, page_of_groups(query))


async def groups_of_requests(
    reader: Reader, filters: LogFilters, grouped_by: GroupedBy, asked: GroupsAsked
) -> tuple[int, list[tuple[str | int, RequestGroup]]]:
    """How many groups there are, and those of the page, each with the value that its requests have in common."""
    value = _VALUES[grouped_by]
    conditions = conditions_on_requests(filters, "r")
    columns = {name: COLUMNS[name] for name in asked.columns}
    measures = [column.measure for column in (*columns.values(), COLUMNS[asked.order_by])]
    grouped = f"""
    SELECT {value} AS value, {select(*measures)} FROM feedback.request_logs AS r
    WHERE {conditions.text} GROUP BY value
    """
    order = f"{COLUMNS[asked.order_by].sort} {asked.order} NULLS LAST, value"
    total, rows = await group_page(reader, grouped, conditions.parameters, order, asked.page)
    return total, [(row["value"], _group(row, columns)) for row in rows]


def _group(row: dict[str, Any], columns: dict[str, Column]) -> RequestGroup:
    values = {measure: measure.read(row) for measure in {column.measure for column in columns.values()}}
    numbers = {name: getattr(values[column.measure], column.of_measure) for name, column in columns.items()}
    return RequestGroup(**numbers, object="analytics-group")

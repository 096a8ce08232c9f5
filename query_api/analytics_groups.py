"""`GET /v1/analytics/groups/…`: requests, or feedback, by what they say under one key of their metadata.

A special field is the column of its name, so that one which a feedback takes from its request counts as its own. What
says nothing under the key is the group with the empty value.
"""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.analytics_answers import Groups
from query_api.analytics_questions import FAILURES, PAGE_NAMES, PAGE_PARAMETERS, UNTOLD, page_of_groups
from query_api.callers import AnalyticsReader
from query_api.engines import Engines
from query_api.filter_conditions import Conditions, conditions_on_feedback, conditions_on_requests
from query_api.group_pages import group_page
from query_api.log_filters import SPECIALS, filters_in_query, openapi_parameters
from query_api.settings import QuerySettings

_PARAMETERS = [*openapi_parameters(time_required=True), *PAGE_PARAMETERS]
_REQUESTS = """
SELECT
    value AS metadata_value,
    sum(n) AS requests,
    sum(t.cost) AS cost,
    if(sum(telling) = 0, NULL, sum(t.tokens) / sum(telling)) AS avg_tokens,
    sum(a.feedback_count) AS feedback_count,
    sum(a.value_weight_sum) AS value_weight,
    sum(a.weight_sum) AS weight,
    sumIf(n, a.feedback_count > 0) AS requests_with_feedback,
    max(last) AS last_seen
FROM (
    SELECT {value} AS value, trace_id, count() AS n, sum(r.cost) AS cost, sum(toUInt128(total_tokens)) AS tokens,
        count(total_tokens) AS telling, max(started_at) AS last
    FROM feedback.request_logs AS r WHERE {asked} GROUP BY value, trace_id
) AS t
LEFT JOIN (
    SELECT trace_id, feedback_count, value_weight_sum, weight_sum FROM feedback.trace_aggregates
    WHERE workspace = {{workspace:String}} AND trace_id IN (
        SELECT r.trace_id FROM feedback.request_logs AS r WHERE {asked}
    )
) AS a USING (trace_id)
GROUP BY metadata_value
"""
_FEEDBACK = """
SELECT {value} AS metadata_value, count() AS feedback_count, sum(f.value * f.weight) AS value_weight,
    sum(f.weight) AS weight, max(created_at) AS last_seen
FROM feedback.feedback AS f WHERE {asked} GROUP BY metadata_value
"""

MetadataKey = Annotated[str, Path(examples=["_user"])]


class _Means(BaseModel):
    metadata_value: str = Field(description="Text as it is, other values as JSON; empty where there is none.")
    feedback_count: int = Field(examples=[2])
    avg_weighted_feedback: float | None = Field(description="Σ(value × weight) ÷ feedback_count.", examples=[1.5])
    weighted_mean: float | None = Field(description="Σ(value × weight) ÷ Σ weight.", examples=[3.0])
    last_seen: datetime
    object: Literal["analytics-group"] = "analytics-group"


class RequestGroup(_Means):
    """Requests with one value, and the feedback on their traces: each once, however many of them a trace has."""

    requests: int = Field(examples=[10])
    cost: float = Field(description="US cents.", examples=[0.75])
    avg_tokens: float | None = Field(description="Over the requests that tell tokens.", examples=[120.5])
    requests_with_feedback: int = Field(examples=[4])


class FeedbackGroup(_Means):
    """Feedback with one value."""


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(prefix="/v1/analytics/groups", tags=["analytics"])

    async def page(query: QueryParams, key: str, groups: str, asked: Conditions) -> tuple[int, list[dict[str, Any]]]:
        part = page_of_groups(query)
        special = key in SPECIALS
        value = f"{key}::String" if special else "JSONExtractString(metadata, {group_key:String})"
        text = groups.format(value=value, asked=asked.text)
        parameters = asked.parameters | ({} if special else {"group_key": key})
        order = "requests DESC" if groups is _REQUESTS else "feedback_count DESC"
        async with reader.told_in_time(UNTOLD):
            total, found = await group_page(reader, text, parameters, f"{order}, metadata_value", part)
        return total, [_with_means(row) for row in found]

    @router.get(
        "/metadata/{key}",
        summary="Requests by a key of their metadata",
        responses=FAILURES,
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def by_metadata(key: MetadataKey, request: Request, caller: AnalyticsReader) -> Groups[RequestGroup]:
        filters = filters_in_query(request.query_params, caller.workspace, PAGE_NAMES, time_required=True)
        total, rows = await page(request.query_params, key, _REQUESTS, conditions_on_requests(filters, "r"))
        return Groups(total=total, data=[RequestGroup(**row) for row in rows])

    @router.get(
        "/feedback-metadata/{key}",
        summary="Feedback by a key of its metadata",
        responses=FAILURES,
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def by_feedback_metadata(
        key: MetadataKey, request: Request, caller: AnalyticsReader
    ) -> Groups[FeedbackGroup]:
        filters = filters_in_query(request.query_params, caller.workspace, PAGE_NAMES, time_required=True)
        total, rows = await page(request.query_params, key, _FEEDBACK, conditions_on_feedback(filters, "f"))
        return Groups(total=total, data=[FeedbackGroup(**row) for row in rows])

    return router


def _with_means(row: dict[str, Any]) -> dict[str, Any]:
    value_weight, n = Fraction(row.pop("value_weight")), row["feedback_count"]
    weight: Decimal = row.pop("weight")
    means = {
        "avg_weighted_feedback": float(value_weight / n) if n else None,
        "weighted_mean": float(value_weight / Fraction(weight)) if weight else None,
    }
    return row | means | {"cost": row.get("cost") or 0.0, "last_seen": row["last_seen"].replace(tzinfo=UTC)}

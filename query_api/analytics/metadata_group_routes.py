"""`GET /v1/analytics/groups/…`: requests, or feedback, by what they say under one key of their metadata.

A special field is the column of its name, so that one which a feedback takes from its request counts as its own. What
says nothing under the key is the group with the empty value.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Path, Request
from pydantic import BaseModel, Field

from query_api.analytics.day_keeper import DayKeeper
from query_api.analytics.feedback_groups import LAST_SEEN, by_special, groups_of_feedback
from query_api.analytics.parameters import FAILURES, NO_ANSWER, PAGE_NAMES, PAGE_PARAMETERS, READ_FROM, page_of_groups
from query_api.analytics.requests_by_metadata import requests_by_metadata
from query_api.analytics.responses import Groups
from query_api.analytics.sources import GroupedBy, Number
from query_api.any_text import ANY_TEXT
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines
from query_api.filters.parameters import SPECIALS, filters_in_query, openapi_parameters
from query_api.settings import QuerySettings

_PARAMETERS = [*openapi_parameters(time_required=True), *PAGE_PARAMETERS]
_FEEDBACK = {
    "feedback_count": Number("toUInt64(count())", "sum(r.feedback_count)"),
    "value_weight": Number("sum(f.value * f.weight)", "sum(r.value_weight_sum)"),
    "weight": Number("sum(f.weight)", "sum(r.weight_sum)"),
} | LAST_SEEN

MetadataKey = Annotated[str, Path(examples=["_user"])]


class _Means(BaseModel):
    metadata_value: str = Field(description="Text as it is, other values as JSON; empty where there is none.")
    feedback_count: int = Field(examples=[2])
    avg_weighted_feedback: float | None = Field(description="Σ(value × weight) ÷ feedback_count.", examples=[1.5])
    weighted_mean: float | None = Field(description="Σ(value × weight) ÷ Σ weight.", examples=[3.0])
    last_seen: datetime
    object: Literal["analytics-group"] = "analytics-group"


class RequestsWithMetadata(_Means):
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
    keeper = DayKeeper(reader)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with keeper.running():
            yield

    router = APIRouter(prefix="/v1/analytics/groups", tags=["analytics"], lifespan=lifespan)

    @router.get(
        f"/metadata/{{key:{ANY_TEXT}}}",
        summary="Requests by a key of their metadata",
        responses=FAILURES,
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def by_metadata(key: MetadataKey, request: Request, caller: AnalyticsReader) -> Groups[RequestsWithMetadata]:
        page = page_of_groups(request.query_params)
        filters = filters_in_query(request.query_params, caller.workspace, PAGE_NAMES, time_required=True)
        async with reader.query_deadline(NO_ANSWER):
            found = await requests_by_metadata(reader, filters, key, page, datetime.now(UTC))
        if found.to_keep:
            keeper.ask(found.to_keep)
        return Groups(total=found.total, data=[RequestsWithMetadata(**_with_means(row)) for row in found.page])

    @router.get(
        f"/feedback-metadata/{{key:{ANY_TEXT}}}",
        summary="Feedback by a key of its metadata",
        responses=FAILURES,
        openapi_extra={"parameters": [*_PARAMETERS, READ_FROM]},
    )
    async def by_feedback_metadata(
        key: MetadataKey, request: Request, caller: AnalyticsReader
    ) -> Groups[FeedbackGroup]:
        query = request.query_params
        filters = filters_in_query(query, caller.workspace, (*PAGE_NAMES, "read_from"), time_required=True)
        own = GroupedBy("[f.metadata_texts[{group_key:String}]]", parameters={"group_key": key})
        by = by_special(key) if key in SPECIALS else own
        async with reader.query_deadline(NO_ANSWER):
            order = "feedback_count DESC, group_value"
            total, rows = await groups_of_feedback(reader, query, filters, by, _FEEDBACK, order)
        return Groups(total=total, data=[FeedbackGroup(**_with_means(_named(row))) for row in rows])

    return router


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"metadata_value": row.pop("group_value")}


def _with_means(row: dict[str, Any]) -> dict[str, Any]:
    value_weight, n = Fraction(row.pop("value_weight")), row["feedback_count"]
    weight: Decimal = row.pop("weight")
    means = {
        "avg_weighted_feedback": float(value_weight / n) if n else None,
        "weighted_mean": float(value_weight / Fraction(weight)) if weight else None,
    }
    return row | means | {"cost": row.get("cost") or 0.0, "last_seen": row["last_seen"].replace(tzinfo=UTC)}

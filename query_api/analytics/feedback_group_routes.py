"""`GET /v1/analytics/groups/feedback`: feedback by a field, with how sure its means are.

What is said under a key of metadata is the feedback's own, or else what the requests on its trace say, as filters have
it: so each group is what the filter by its value finds. Feedback on several models, or whose requests say several
things, is in several groups. What has no value is the group with the empty one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.datastructures import QueryParams

from query_api.analytics.feedback_groups import LAST_SEEN, by_special, groups_of_feedback
from query_api.analytics.intervals import MeansWithErrors, means_with_errors
from query_api.analytics.moments import MOMENTS, moments_of
from query_api.analytics.parameters import FAILURES, NO_ANSWER, PAGE_NAMES, PAGE_PARAMETERS, READ_FROM, direction_of
from query_api.analytics.responses import Groups
from query_api.analytics.sources import GroupedBy, Number
from query_api.analytics.sums import BY_MODEL, VALUES
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines
from query_api.exact_quotients import quotient
from query_api.facets.fields import OF_A_KEY
from query_api.filters.parameter_values import shown
from query_api.filters.parameters import SPECIALS, filters_in_query, openapi_parameters, parameter
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError

_FIELDS = {
    "ai_model": BY_MODEL,
    "ai_org": GroupedBy("f.providers", filter="ai_org"),
    "prompt_slug": by_special("_prompt"),
    "user": by_special("_user"),
    "organisation": by_special("_organisation"),
    "environment": by_special("_environment"),
}


def _counted(condition: str, values: Iterable[int]) -> Number:
    places = ", ".join(str(VALUES.index(value) + 1) for value in values)
    return Number(
        f"toUInt64(countIf(f.value {condition}))",
        f"toUInt64(sum(arraySum(arrayMap(at -> r.value_counts[at], [{places}]))))",
    )


_NUMBERS = MOMENTS | LAST_SEEN | {
    "positive": _counted("> 0", VALUES[11:]),
    "neutral": _counted("= 0", VALUES[10:11]),
    "negative": _counted("< 0", VALUES[:10]),
}  # fmt: skip
_ORDERS = {
    "n": "n",
    "avg": quotient("vw_sum", "n"),
    "weighted_mean": f"if(w_sum = 0, NULL, {quotient('vw_sum', 'w_sum')})",
    "last_seen": "last_seen",
    "value": "group_value",
}
_PARAMETERS = [
    *openapi_parameters(time_required=True),
    parameter("by", f"{', '.join(_FIELDS)}, or {OF_A_KEY}KEY for what is said under a key.", "ai_model", required=True),
    parameter("order_by", f"What groups are sorted by: {', '.join(_ORDERS)}; `n` by default.", "weighted_mean"),
    parameter("order_by_type", "desc or asc; desc by default. Groups without such a number come last.", "asc"),
    READ_FROM,
    *PAGE_PARAMETERS,
]  # fmt: skip
_OWN = ("by", "read_from", "order_by", "order_by_type", *PAGE_NAMES)
_OF_REQUESTS = """
LEFT ANY JOIN (
    SELECT trace_id, groupUniqArray(metadata_texts[{{group_key:String}}]) AS said
    FROM feedback.request_logs
    WHERE workspace = {{workspace:String}} AND mapContains(metadata_texts, {{group_key:String}})
        AND trace_id IN (SELECT f.trace_id FROM feedback.feedback AS f WHERE {asked})
    GROUP BY trace_id
) AS r ON r.trace_id = f.trace_id
"""


class FeedbackOfValue(MeansWithErrors):
    """Feedback with one value of the field."""

    value: str = Field(description="Text as it is, other values as JSON; empty where there is none.")
    positive: int = Field(description="Feedbacks whose value is above 0.", examples=[90])
    neutral: int = Field(examples=[10])
    negative: int = Field(examples=[20])
    last_seen: datetime = Field(description="When the newest was accepted.")
    object: Literal["analytics-group"] = "analytics-group"


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["analytics"])

    @router.get(
        "/v1/analytics/groups/feedback",
        summary="Feedback by a field, with intervals",
        responses=FAILURES,
        openapi_extra={"parameters": _PARAMETERS},
    )
    async def by_field(request: Request, caller: AnalyticsReader) -> Groups[FeedbackOfValue]:
        query = request.query_params
        filters = filters_in_query(query, caller.workspace, _OWN, time_required=True)
        order = f"{_ORDERS[_order_by(query)]} {direction_of(query)} NULLS LAST, group_value"
        by = _by(query.get("by"))
        async with reader.query_deadline(NO_ANSWER):
            total, rows = await groups_of_feedback(reader, query, filters, by, _NUMBERS, order)
        return Groups(total=total, data=[_group(row) for row in rows])

    return router


def _by(name: str | None) -> GroupedBy:
    if name in _FIELDS:
        return _FIELDS[name]
    if not (name and name.startswith(OF_A_KEY) and name != OF_A_KEY):
        raise ApiError(f"by must be {', '.join(_FIELDS)}, or {OF_A_KEY}KEY, got {shown(name)}", "by")
    key = name.removeprefix(OF_A_KEY)
    if key in SPECIALS:
        return by_special(key)
    own = "[f.metadata_texts[{group_key:String}]]"
    values = f"if(mapContains(f.metadata_texts, {{group_key:String}}), {own}, r.said)"
    return GroupedBy(values, join=_OF_REQUESTS, parameters={"group_key": key})


def _order_by(query: QueryParams) -> str:
    name = query.get("order_by", "n")
    if name not in _ORDERS:
        raise ApiError(f"order_by must be {', '.join(_ORDERS)}, got {shown(name)}", "order_by")
    return name


def _group(row: dict[str, Any]) -> FeedbackOfValue:
    means = means_with_errors(moments_of(row))
    signs = {name: row[name] for name in ("positive", "neutral", "negative")}
    return FeedbackOfValue(value=row["group_value"], last_seen=row["last_seen"].replace(tzinfo=UTC), **means, **signs)

"""`GET /v1/analytics/groups/feedback`: feedback by a field, with how sure its means are.

What is said under a key of metadata is the feedback's own, or else what the requests on its trace say, as filters have
it: so each group is what the filter by its value finds. Feedback on several models, or whose requests say several
things, is in several groups. What has no value is the group with the empty one.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.datastructures import QueryParams

from query_api.analytics_answers import Groups
from query_api.analytics_intervals import (
    MOMENT_COLUMNS,
    MOMENT_NAMES,
    MOMENTS,
    MeansWithErrors,
    means_with_errors,
)
from query_api.analytics_questions import FAILURES, PAGE_NAMES, PAGE_PARAMETERS, UNTOLD, direction_of, page_of_groups
from query_api.analytics_statistics import Moments
from query_api.answers import QueryError
from query_api.callers import AnalyticsReader
from query_api.engines import Engines
from query_api.facet_fields import OF_A_KEY
from query_api.filter_conditions import conditions_on_feedback
from query_api.group_pages import group_page
from query_api.log_filters import SPECIALS, LogFilters, filters_in_query, openapi_parameters, parameter
from query_api.parameter_values import shown
from query_api.settings import QuerySettings

_FIELDS = {
    "ai_model": "f.models",
    "ai_org": "f.providers",
    "prompt_slug": "[f._prompt::String]",
    "user": "[f._user::String]",
    "organisation": "[f._organisation::String]",
    "environment": "[f._environment::String]",
}
_LISTS = ("ai_model", "ai_org")
_ORDERS = {
    "n": "n",
    "avg": "toFloat64(vw_sum) / n",
    "weighted_mean": "if(w_sum = 0, NULL, toFloat64(vw_sum) / toFloat64(w_sum))",
    "last_seen": "last_seen",
    "value": "group_value",
}
_PARAMETERS = [
    *openapi_parameters(time_required=True),
    parameter("by", f"{', '.join(_FIELDS)}, or {OF_A_KEY}KEY for what is said under a key.", "ai_model", required=True),
    parameter("order_by", f"What groups are sorted by: {', '.join(_ORDERS)}; `n` by default.", "weighted_mean"),
    parameter("order_by_type", "desc or asc; desc by default. Groups without such a number come last.", "asc"),
    *PAGE_PARAMETERS,
]  # fmt: skip
_OWN = ("by", "order_by", "order_by_type", *PAGE_NAMES)
_OF_REQUESTS = """
LEFT ANY JOIN (
    SELECT trace_id, groupUniqArray(JSONExtractString(metadata, {group_key:String})) AS said
    FROM feedback.request_logs WHERE workspace = {workspace:String} AND JSONHas(metadata, {group_key:String})
        AND trace_id IN (SELECT f.trace_id FROM feedback.feedback AS f WHERE %s)
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
        groups, parameters = _groups(filters, _field(query.get("by")))
        page = page_of_groups(query)
        async with reader.told_in_time(UNTOLD):
            total, rows = await group_page(reader, groups, parameters, order, page)
        return Groups(total=total, data=[_group(row) for row in rows])

    return router


def _field(name: str | None) -> str:
    if name in _FIELDS or (name and name.startswith(OF_A_KEY) and name != OF_A_KEY):
        return name
    raise QueryError(f"by must be {', '.join(_FIELDS)}, or {OF_A_KEY}KEY, got {shown(name)}", "by")


def _order_by(query: QueryParams) -> str:
    name = query.get("order_by", "n")
    if name not in _ORDERS:
        raise QueryError(f"order_by must be {', '.join(_ORDERS)}, got {shown(name)}", "order_by")
    return name


def _groups(filters: LogFilters, field: str) -> tuple[str, dict[str, Any]]:
    """The groups, in which a feedback counts once for each of its values of the field; and parameters."""
    asked = conditions_on_feedback(filters, "f")
    values, joined, parameters, key = _FIELDS.get(field, ""), "", dict(asked.parameters), field.removeprefix(OF_A_KEY)
    if not values and key in SPECIALS:
        values = f"[f.{key}::String]"
    elif not values:
        values = (
            "if(JSONHas(f.metadata, {group_key:String}), [JSONExtractString(f.metadata, {group_key:String})], r.said)"
        )
        joined, parameters["group_key"] = _OF_REQUESTS % asked.text, key
    chosen = ""
    if field in _LISTS and field in filters.texts:
        chosen = f"WHERE group_value IN {{{field}:Array(String)}}"
        parameters[field] = list(filters.texts[field])
    rows = f"""
    SELECT arrayJoin(if(empty(list), [''], list))::String AS group_value, * EXCEPT list FROM (
        SELECT {values} AS list, f.created_at AS created_at, {MOMENT_COLUMNS}
        FROM feedback.feedback AS f {joined} WHERE {asked.text}
    )
    """
    groups = f"""
    SELECT {MOMENTS}, group_value, countIf(value > 0) AS positive, countIf(value = 0) AS neutral,
        countIf(value < 0) AS negative, max(created_at) AS last_seen
    FROM (SELECT * FROM ({rows}) {chosen}) GROUP BY group_value
    """
    return groups, parameters


def _group(row: dict[str, Any]) -> FeedbackOfValue:
    means = means_with_errors(Moments(*(row[name] for name in MOMENT_NAMES)))
    signs = {name: row[name] for name in ("positive", "neutral", "negative")}
    return FeedbackOfValue(value=row["group_value"], last_seen=row["last_seen"].replace(tzinfo=UTC), **means, **signs)

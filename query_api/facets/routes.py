"""`GET /v1/logs/facets` and `GET /v1/feedback/facets`: how often fields have which values in what filters leave.

Fields whose own filter is given are counted without it, each by a query of its own; all others by one.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from query_api.auth import REFUSALS, FeedbackReader, LogsReader, require_scope
from query_api.clickhouse import AWAY, Engines, Reader
from query_api.errors import example
from query_api.facets.counts import TOTAL, facet_query
from query_api.facets.fields import (
    MOST_FILTERED,
    OF_FEEDBACK,
    OF_REQUESTS,
    PARAMETERS,
    Asked,
    FacetField,
    asked_in,
    openapi_facet_parameters,
)
from query_api.filters.conditions import Conditions, conditions_on_requests
from query_api.filters.feedback_conditions import conditions_on_listed_feedback
from query_api.filters.feedback_parameters import feedback_filters_in_query, openapi_feedback_parameters
from query_api.filters.parameters import filters_in_query, openapi_parameters
from query_api.filters.readable_filters import readable_filters
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError


class ValueCount(BaseModel):
    """One value and how often it occurs."""

    value: str = Field(description="As the filter of the field takes it.", examples=["gpt-4o"])
    count: int = Field(examples=[1200])


class Facet(BaseModel):
    """The values of one field, most frequent first."""

    field: str = Field(examples=["ai_model"])
    values: list[ValueCount]
    distinct: int = Field(description="How many values there are, listed or not.", examples=[6])
    more: bool = Field(description="Whether there are values that are not listed.", examples=[False])
    missing: int = Field(description="How many have no value, whatever `contains` is.", examples=[3])


class Facets(BaseModel):
    """Counts by the values of fields."""

    object: Literal["facets"] = "facets"
    total: int = Field(description="How many filters leave, of the newest asked for.", examples=[1203])
    facets: list[Facet] = Field(description="In the order of `fields`.")


_FAILURES: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    400: {
        "description": "A parameter is not valid.",
        **example(400, 'fields: unknown field "colour", …', "fields"),
    },
    503: AWAY,
}


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["reading"], responses=_FAILURES)

    @router.get(
        "/v1/logs/facets",
        summary="Count requests by the values of fields",
        description="Of the requests in a range of time that the filters leave: the most frequent values of each field."
        " A filter on a field does not narrow that field's own values, so that several can be chosen. Without the scope"
        " feedback.read, neither weighted_feedback nor has_feedback is a filter.",
        openapi_extra={"parameters": [*openapi_parameters(time_required=True), *openapi_facet_parameters(OF_REQUESTS)]},
    )
    async def count_requests(request: Request, caller: LogsReader) -> Facets:
        query = request.query_params
        filters = filters_in_query(query, caller.workspace, PARAMETERS, time_required=True)
        if filters.ask_about_feedback:
            require_scope(caller, "feedback.read", "filters by feedback")
        asked = asked_in(query, OF_REQUESTS)
        async with reader.query_deadline("requests cannot be counted"):
            return await _facets(
                reader,
                ("feedback.request_logs", "started_at"),
                asked,
                conditions_on_requests(filters, "r"),
                lambda field: conditions_on_requests(field.without_own_filter(filters), "r"),
            )

    @router.get(
        "/v1/feedback/facets",
        summary="Count feedback by the values of fields",
        description="Of the feedback given in a range of time that the filters leave: the most frequent values of each"
        " field. A filter on a field does not narrow that field's own values, so that several can be chosen. A feedback"
        " counts under each model and provider of its trace; keys are those of its own metadata.",
        openapi_extra={
            "parameters": [
                *openapi_parameters(time_required=True),
                *openapi_feedback_parameters(),
                *openapi_facet_parameters(OF_FEEDBACK),
            ]
        },
    )
    async def count_feedback(request: Request, caller: FeedbackReader) -> Facets:
        query = request.query_params
        filters = feedback_filters_in_query(query, caller.workspace, PARAMETERS, time_required=True)
        filters = readable_filters(filters, caller)
        asked = asked_in(query, OF_FEEDBACK)
        async with reader.query_deadline("feedback cannot be counted"):
            return await _facets(
                reader,
                ("feedback.feedback", "created_at"),
                asked,
                conditions_on_listed_feedback(filters, "r"),
                lambda field: conditions_on_listed_feedback(field.without_own_filter_of_feedback(filters), "r"),
            )

    return router


async def _facets(
    reader: Reader,
    table: tuple[str, str],
    asked: Asked,
    all_filters: Conditions,
    conditions_of: Callable[[FacetField], Conditions],
) -> Facets:
    """The facets of a table, given its name and that of its time. Raises what the client raises."""
    found: dict[str, Facet] = {}
    total = 0
    for conditions, fields in _by_conditions(asked.fields, all_filters, conditions_of):
        rows = await reader.rows(*facet_query(*table, conditions, fields, asked))
        counted = {row["field"]: row for row in rows}
        if conditions is all_filters:
            total = counted[TOTAL]["missing"] if TOTAL in counted else 0
        found |= {field.name: _facet(field.name, counted.get(number)) for number, field in enumerate(fields)}
    return Facets(total=total, facets=[found[field.name] for field in asked.fields])


def _by_conditions(
    fields: Iterable[FacetField], all_filters: Conditions, conditions_of: Callable[[FacetField], Conditions]
) -> list[tuple[Conditions, list[FacetField]]]:
    """The fields by the conditions under which they are counted; first those under all filters, if only for the total.

    One query counts all fields under the same conditions. ApiError where that would be too many queries.
    """
    groups: list[tuple[Conditions, list[FacetField]]] = [(all_filters, [])]
    for field in fields:
        conditions = conditions_of(field)
        group = next((members for known, members in groups if known == conditions), None)
        if group is None:
            groups.append((conditions, [field]))
        else:
            group.append(field)
    if len(groups) > MOST_FILTERED + 1:
        raise ApiError(
            f"fields: at most {MOST_FILTERED} of them may have a filter of their own, got {len(groups) - 1}: leave out"
            " fields, or filters on them",
            "fields",
        )
    return groups


def _facet(name: str, row: dict[str, Any] | None) -> Facet:
    if row is None:
        return Facet(field=name, values=[], distinct=0, more=False, missing=0)
    values = [ValueCount(value=value, count=-negative) for negative, value in row["most_frequent"]]
    more = row["different"] > len(values)
    return Facet(field=name, values=values, distinct=row["different"], more=more, missing=row["missing"])

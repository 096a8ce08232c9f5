"""`GET /v1/logs/facets`: which values fields have in the requests that filters leave, and how often: what there is to
choose from.

Fields whose own filter is given are counted without it, each by a query of its own; all others by one.
"""

from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from query_api.answers import example
from query_api.callers import REFUSALS, LogsReader, require_scope
from query_api.engines import AWAY, Engines, Reader
from query_api.facet_counts import TOTAL, facet_query
from query_api.facet_fields import OF_REQUESTS, PARAMETERS, Asked, FacetField, asked_in, openapi_facet_parameters
from query_api.filter_conditions import Conditions, conditions_on_requests
from query_api.log_filters import LogFilters, filters_in_query, openapi_parameters
from query_api.settings import QuerySettings


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
    total: int = Field(description="How many all filters leave.", examples=[1203])
    facets: list[Facet] = Field(description="In the order of `fields`.")


_FAILURES: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    400: {"description": "A parameter is not valid.", **example(400, 'fields: there is no "colour", …', "fields")},
    503: AWAY,
}


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
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
        async with reader.told_in_time("requests cannot be counted"):
            return await _facets(reader, "feedback.request_logs", conditions_on_requests, filters, asked)

    return router


async def _facets(
    reader: Reader,
    table: str,
    conditions_of: Callable[[LogFilters, str], Conditions],
    filters: LogFilters,
    asked: Asked,
) -> Facets:
    """Raises what the client raises."""
    alike: list[tuple[LogFilters, list[FacetField]]] = [(filters, [])]
    for field in asked.fields:
        narrowing = field.without_own_filter(filters)
        same = next((fields for known, fields in alike if known == narrowing), None)
        if same is None:
            alike.append((narrowing, [field]))
        else:
            same.append(field)
    found: dict[str, Facet] = {}
    total = 0
    for narrowing, fields in alike:
        rows = await reader.rows(*facet_query(table, conditions_of(narrowing, "r"), fields, asked))
        counted = {row["field"]: row for row in rows}
        if narrowing == filters:
            total = counted[TOTAL]["missing"] if TOTAL in counted else 0
        found |= {field.name: _facet(field.name, counted.get(number)) for number, field in enumerate(fields)}
    return Facets(total=total, facets=[found[field.name] for field in asked.fields])


def _facet(name: str, row: dict[str, Any] | None) -> Facet:
    if row is None:
        return Facet(field=name, values=[], distinct=0, more=False, missing=0)
    values = [ValueCount(value=value, count=-negative) for negative, value in row["most_frequent"]]
    more = row["different"] > len(values)
    return Facet(field=name, values=values, distinct=row["different"], more=more, missing=row["missing"])

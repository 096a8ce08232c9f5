"""`GET /v1/feedback`: the feedback that stands, by what may be asked of it, newest first or by value."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from query_api.auth import REFUSALS, FeedbackReader
from query_api.clickhouse import AWAY, Engines
from query_api.errors import example
from query_api.filters.cursors import PARAMETERS, cursor_of, openapi_page_parameters, page_size_in, place_in
from query_api.filters.feedback_parameters import feedback_filters_in_query, openapi_feedback_parameters
from query_api.filters.parameters import openapi_parameters
from query_api.filters.readable_filters import readable_filters
from query_api.reading.feedback_page import ListedFeedback, feedback_page
from query_api.reading.feedback_ranking import (
    openapi_order_parameter,
    order_in,
    ranked_page,
    value_cursor,
    value_place_in,
)
from query_api.settings import QuerySettings

CURSOR = "f"


class FeedbackPage(BaseModel):
    """One page. Where `next_cursor` is null there is no more."""

    object: Literal["list"] = "list"
    data: list[ListedFeedback]
    next_cursor: str | None = Field(examples=["fAAABmwAAAAABlwAAAAAAgACAAJsR7fkAAA"])


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.query_timeout_s)
    router = APIRouter(tags=["reading"], responses=REFUSALS)

    @router.get("/v1/feedback/", include_in_schema=False)
    @router.get(
        "/v1/feedback",
        summary="List feedback",
        description="What stands, newest first or by value. All given filters must hold. Special fields are those in"
        " force; what is said of requests (model, provider, status, cost, tokens, span) must hold of one request on the"
        " trace, and need the scope logs.read too, except model and provider; times are those of the feedback.",
        openapi_extra={
            "parameters": [
                *openapi_parameters(),
                *openapi_feedback_parameters(),
                openapi_order_parameter(),
                *openapi_page_parameters(),
            ]
        },
        responses={
            400: {
                "description": "A parameter is not valid.",
                **example(400, "cursor must be one that this list has answered with", "cursor"),
            },
            503: AWAY,
        },
    )
    async def list_feedback(request: Request, caller: FeedbackReader) -> FeedbackPage:
        query = request.query_params
        order, size = order_in(query), page_size_in(query)
        filters = feedback_filters_in_query(
            query, caller.workspace, (*PARAMETERS, "order"), time_required=order != "newest"
        )
        filters = readable_filters(filters, caller)
        async with reader.query_deadline("feedback cannot be listed"):
            if order == "newest":
                found = await feedback_page(reader, filters, place_in(query, CURSOR), size + 1)
            else:
                found = await ranked_page(reader, filters, order, value_place_in(query, order), size + 1)
        page = found[:size]
        if len(found) <= size:
            return FeedbackPage(data=page, next_cursor=None)
        last = page[-1]
        more = cursor_of(CURSOR, last.created_at, last.id) if order == "newest" else value_cursor(order, last)
        return FeedbackPage(data=page, next_cursor=more)

    return router

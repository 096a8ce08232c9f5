"""`GET /v1/feedback`: the feedback that stands, by what may be asked of it, newest first."""

from typing import Literal, get_args

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.answers import QueryError, example
from query_api.callers import REFUSALS, FeedbackReader
from query_api.engines import AWAY, Engines
from query_api.feedback_page import JoinState, ListedFeedback, feedback_page
from query_api.log_filters import filters_in_query, openapi_parameters, parameter
from query_api.pages import PARAMETERS, cursor_of, openapi_page_parameters, page_size_in, place_in
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
    state = parameter("join_state", f"One of {', '.join(get_args(JoinState))}.", "pending")
    state["schema"]["enum"] = list(get_args(JoinState))

    @router.get("/v1/feedback/", include_in_schema=False)
    @router.get(
        "/v1/feedback",
        summary="List feedback",
        description="What stands, newest first. All given filters must hold. Special fields are those in force;"
        " what is said of requests (model, provider, status, cost, tokens, span) must hold of one request on the trace;"
        " times are those of the feedback.",
        openapi_extra={"parameters": [*openapi_parameters(), state, *openapi_page_parameters()]},
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
        filters = filters_in_query(query, caller.workspace, (*PARAMETERS, "join_state"))
        join_state, place, size = _join_state(query), place_in(query, CURSOR), page_size_in(query)
        async with reader.told_in_time("feedback cannot be listed"):
            found = await feedback_page(reader, filters, join_state, place, size + 1)
        page = found[:size]
        more = cursor_of(CURSOR, page[-1].created_at, page[-1].id) if len(found) > size else None
        return FeedbackPage(data=page, next_cursor=more)

    return router


def _join_state(query: QueryParams) -> JoinState | None:
    given = query.get("join_state")
    if given is not None and given not in get_args(JoinState):
        raise QueryError(f"join_state must be pending, joined or orphaned, got {given[:60]!r}", "join_state")
    return given  # type: ignore[return-value]

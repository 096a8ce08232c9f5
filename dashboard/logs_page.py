"""`/logs`: requests, newest first, each with the Feedback Count and the Value : Weight pairs of its trace."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard import columns
from dashboard.api_client import ApiError, Parameters
from dashboard.page_query import RANGES, PageQuery
from dashboard.pages import Pages, Viewer
from dashboard.time_chart import counts_over_time
from dashboard.trace_view import trace_view

PAGE_SIZE = 50
_FACETS = {
    "ai_model": "Model",
    "prompt_slug": "Prompt",
    "environment": "Environment",
    "status_code": "Status",
    "organisation": "Organisation",
    "user": "User",
}


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def logs(request: Request, viewer: Viewer) -> Response:
        query = PageQuery.of(request.query_params.multi_items())
        if chosen := query.all("columns"):
            answer = RedirectResponse(query.with_(columns=None).link("/logs"), 303)
            columns.remember(answer, chosen)
            return answer
        found, opened = await asyncio.gather(_page(viewer, query), _opened(viewer, query))
        problem = found if isinstance(found, ApiError) else None
        page: dict[str, Any] = {"data": [], "next_cursor": None} if isinstance(found, ApiError) else found
        return pages.render(
            request,
            viewer,
            "logs.html",
            status=problem.status if problem else 200,
            page=page,
            problem=problem,
            columns=columns.columns_of(request),
            all_columns=columns.COLUMNS,
            numeric=columns.NUMERIC,
            ranges=RANGES,
            opened=opened,
        )

    async def overview(request: Request, viewer: Viewer) -> Response:
        query = PageQuery.of(request.query_params.multi_items())
        now = datetime.now(UTC)
        asked = query.for_api(now)
        requests, feedback, facets = await asyncio.gather(
            _or_none(viewer, "/v1/analytics/graphs/requests", asked),
            _or_none(viewer, "/v1/analytics/graphs/feedbacks", asked),
            _or_none(viewer, "/v1/logs/facets", [*asked, ("fields", ",".join(_FACETS))]),
        )
        return pages.render(
            request,
            viewer,
            "logs_overview.html",
            chart=counts_over_time({"Requests": requests, "Feedback": feedback}),
            facets=facets,
            facet_names=_FACETS,
        )

    return [pages.get("/logs", logs), pages.get("/logs/overview", overview)]


async def _page(viewer: Viewer, query: PageQuery) -> Any:
    """A page of requests, or the ApiError that says which filter is wrong."""
    asked = [*query.for_api(datetime.now(UTC), "cursor"), ("page_size", str(PAGE_SIZE))]
    try:
        return await viewer.api.get("/v1/logs", asked)
    except ApiError as error:
        if error.status != 400:
            raise
        return error


async def _opened(viewer: Viewer, query: PageQuery) -> dict[str, Any] | None:
    trace_id = query.get("open")
    if not trace_id:
        return None
    try:
        return await trace_view(viewer, trace_id, query.get("span"))
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return {"trace_id": trace_id, "problem": error}


async def _or_none(viewer: Viewer, path: str, asked: Parameters) -> Any:
    """What the API answers; None where this viewer is not told it."""
    try:
        return await viewer.api.get(path, asked)
    except ApiError as error:
        if error.status not in (400, 403, 404):
            raise
        return None

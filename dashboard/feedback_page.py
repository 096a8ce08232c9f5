"""`/feedback`: a list of feedback with the comments of its authors, newest first or worst first."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard import facets
from dashboard.list_page import get_or_none, list_page
from dashboard.pages import Pages, Viewer, query_of
from dashboard.time_chart import bucket_for, signs_over_time
from dashboard.trace_view import opened_trace
from dashboard.viewer_zone import zone_of
from runtime.concurrent_calls import answers_of

_OF_THE_LIST = ("comment", "join_state", "value_min", "value_max", "weight_min", "weight_max")
"""Filters of lists of feedback that analytics do not have."""
SIGNS: tuple[tuple[str, dict[str, str | None]], ...] = (
    ("Any value", {"value_min": None, "value_max": None}),
    ("Positive", {"value_min": "1", "value_max": None}),
    ("Zero", {"value_min": "0", "value_max": "0"}),
    ("Negative", {"value_min": None, "value_max": "-1"}),
)


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def feedback(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        page, opened = await answers_of(list_page(viewer, "/v1/feedback", query, "order"), opened_trace(viewer, query))
        return pages.render(request, viewer, "feedback.html", status=page.status, page=page, signs=SIGNS, opened=opened)

    async def overview(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        now = datetime.now(UTC)
        asked = query.for_api(now)
        kept = [each for each in asked if each[0] not in _OF_THE_LIST]
        over_time = [*kept, ("time_zone", zone_of(request)), *bucket_for(*query.times(now))]
        graph = await get_or_none(viewer, "/v1/analytics/graphs/feedbacks", over_time)
        chart = signs_over_time(graph) if graph else None
        is_wider = len(kept) < len(asked)
        return pages.render(request, viewer, "feedback_overview.html", chart=chart, is_wider=is_wider)

    return [
        pages.get("/feedback", feedback),
        pages.get("/feedback/overview", overview),
        *facets.facet_routes(pages, "/feedback", facets.FEEDBACK),
    ]

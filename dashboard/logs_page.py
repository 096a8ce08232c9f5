"""`/logs`: requests, newest first, each with the Feedback Count and the Value : Weight pairs of its trace."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard import columns, facets
from dashboard.list_page import ListPage, get_or_none, list_page
from dashboard.pages import LIST, SECURITY_HEADERS, Pages, Viewer, query_of
from dashboard.shared_answers import SharedAnswers
from dashboard.time_chart import bucket_for, counts_over_time
from dashboard.trace_view import opened_trace
from dashboard.viewer_zone import zone_of
from runtime.concurrent_calls import answers_of

OPINIONS: tuple[tuple[str, dict[str, str | None]], ...] = (
    ("All", {"weighted_feedback_min": None, "weighted_feedback_max": None}),
    ("Liked", {"weighted_feedback_min": "0.01", "weighted_feedback_max": None}),
    ("Disliked", {"weighted_feedback_min": None, "weighted_feedback_max": "-0.01"}),
)
_SHARED_S = 2.5
"""For how long lists, which refresh every five seconds, share an answer."""


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""
    polled = SharedAnswers(_SHARED_S)

    async def logs(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        if chosen := query.all("columns"):
            answer = RedirectResponse(query.with_(columns=None).link("/logs"), 303, headers=SECURITY_HEADERS)
            columns.remember(answer, chosen)
            return answer

        async def ask() -> ListPage:
            return await list_page(viewer, "/v1/logs", query)

        # A viewer who waits for their own new feedback gets a fresh answer; refreshing lists share answers.
        is_poll = request.headers.get("hx-source") == LIST
        listed = polled.get((viewer.workspace, viewer.scopes, query), ask) if is_poll else ask()
        page, opened = await answers_of(listed, opened_trace(viewer, query))
        return pages.render(
            request,
            viewer,
            "logs.html",
            status=page.status,
            page=page,
            columns=columns.columns_of(request),
            all_columns=columns.COLUMNS,
            numeric=columns.NUMERIC,
            opened=opened,
            opinions=OPINIONS,
        )

    async def overview(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        now = datetime.now(UTC)
        over_time = [*query.for_api(now), ("time_zone", zone_of(request)), *bucket_for(*query.times(now))]
        requests, feedback = await answers_of(
            get_or_none(viewer, "/v1/analytics/graphs/requests", over_time),
            get_or_none(viewer, "/v1/analytics/graphs/feedbacks", over_time),
        )
        chart = counts_over_time({"Requests": requests, "Feedback": feedback})
        return pages.render(request, viewer, "logs_overview.html", chart=chart)

    return [
        pages.get("/logs", logs),
        pages.get("/logs/overview", overview),
        *facets.facet_routes(pages, "/logs", facets.REQUESTS),
    ]

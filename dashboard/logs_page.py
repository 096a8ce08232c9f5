"""`/logs`: requests, newest first, each with the Feedback Count and the Value : Weight pairs of its trace."""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard import columns, facets
from dashboard.list_page import ListPage, get_or_none, list_page
from dashboard.page_query import PageQuery
from dashboard.pages import LIST, SECURITY_HEADERS, Pages, Viewer, query_of
from dashboard.shared_answers import SharedAnswers
from dashboard.sorting import Sorting
from dashboard.time_chart import bucket_for, counts_over_time
from dashboard.trace_view import opened_trace
from dashboard.viewer_zone import zone_of
from runtime.concurrent_calls import answers_of

OPINIONS: tuple[tuple[str, dict[str, str | None]], ...] = (
    ("All", {"weighted_feedback_min": None, "weighted_feedback_max": None}),
    ("Liked", {"weighted_feedback_min": "0.01", "weighted_feedback_max": None}),
    ("Disliked", {"weighted_feedback_min": None, "weighted_feedback_max": "-0.01"}),
)
_GRAPHS = "/v1/analytics/graphs"
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

        sorting = Sorting(query, "/logs", "-time")
        order_by = columns.SORTED_BY.get(sorting.name, sorting.name)
        order = () if sorting.is_default else (("order_by", order_by), ("order_by_type", sorting.direction))

        async def ask() -> ListPage:
            return await list_page(viewer, "/v1/logs", query, order=order)

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
            sorting=sorting,
            sortable=[name for name in columns.SORTED_BY if _may_sort(viewer, name)],
            opened=opened,
            opinions=OPINIONS,
        )

    async def overview(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        now = datetime.now(UTC)
        over_time = [*query.for_api(now), ("time_zone", zone_of(request)), *bucket_for(*query.times(now))]
        requests, feedback = await answers_of(
            get_or_none(viewer, f"{_GRAPHS}/requests", over_time),
            get_or_none(viewer, f"{_GRAPHS}/feedbacks", over_time),
        )
        chart = counts_over_time({"Requests": requests, "Feedback": feedback})
        return pages.render(request, viewer, "logs_overview.html", chart=chart)

    async def summary(request: Request, viewer: Viewer) -> Response:
        return pages.render(request, viewer, "logs_summary.html", **await _sums(viewer, query_of(request)))

    return [
        pages.get("/logs", logs),
        pages.get("/logs/summary", summary),
        pages.get("/logs/overview", overview),
        *facets.facet_routes(pages, "/logs", facets.REQUESTS),
    ]


def _may_sort(viewer: Viewer, column: str) -> bool:
    return column not in columns.OF_FEEDBACK or viewer.may("feedback.read")


async def _sums(viewer: Viewer, query: PageQuery) -> dict[str, Any]:
    """The numbers of all requests that the list goes through, and of the feedback given in this time."""
    # The longest buckets that there are, since only the whole is shown.
    asked = [*query.for_api(datetime.now(UTC)), ("bucket", "month")]
    overview, feedback = await answers_of(
        get_or_none(viewer, f"{_GRAPHS}/requests/overview", asked),
        get_or_none(viewer, f"{_GRAPHS}/feedbacks/weighted", asked),
    )
    return {"overview": overview and overview["summary"], "feedback": feedback and feedback["summary"]}

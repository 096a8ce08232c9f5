"""`/trace?id=…`: a page for one trace. The id is in the query, where it may have any characters, also `..`."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard.pages import Pages, Viewer, query_of
from dashboard.trace_view import trace_view


def routes(pages: Pages) -> list[BaseRoute]:
    """The route."""

    async def trace(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        shown = await trace_view(viewer, query.get("id"), query.get("span"))
        return pages.render(request, viewer, "trace.html", opened=shown)

    return [pages.get("/trace", trace)]

"""The answer to an address that leads nowhere, for people: a page with the way to the others."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from dashboard.pages import Pages, Viewer
from runtime.http_errors import ApiError

_OF_PROGRAMS = ("/v1/", "/static/")
_MOST_SHOWN = 100


def routes(pages: Pages) -> list[BaseRoute]:
    """The route for all other addresses. It comes last."""
    return [_Elsewhere(pages.get("/", _not_found))]


class _Elsewhere(BaseRoute):
    """Matches what a browser opens at any path. Programs ask for no HTML, and get the refusal of the API."""

    def __init__(self, page: Route) -> None:
        self._page = page

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """A full match or none, so that it hides no other route."""
        is_opened = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(_OF_PROGRAMS)
        is_html = is_opened and "text/html" in Headers(scope=scope).get("accept", "")
        return (Match.FULL if is_html else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page."""
        await self._page.handle(scope, receive, send)


async def _not_found(request: Request, _: Viewer) -> Response:
    path = request.url.path
    shown = path if len(path) <= _MOST_SHOWN else path[: _MOST_SHOWN - 1] + "…"
    raise ApiError(f"There is no page at {shown}", status=404)

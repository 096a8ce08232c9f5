"""The dashboard's routes: pages, forms and static files."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from dashboard import (
    analytics_page,
    exports_page,
    feedback_forms,
    feedback_page,
    keys_page,
    logs_page,
    no_such_page,
    pipeline_page,
    requests_page,
    sign_in_page,
    trace_page,
)
from dashboard.api_client import ApiClient
from dashboard.pages import SECURITY_HEADERS, Pages
from dashboard.rendering import STATIC, STATIC_VERSION


def dashboard_routes(api: ApiClient, address: str, own_hosts: frozenset[str] | None = None) -> list[BaseRoute]:
    """All routes of the dashboard. `address` is how callers reach the API.

    `own_hosts` are names of this server; None: the server that includes these routes refuses foreign pages itself.
    """
    pages = Pages(api, address, own_hosts)
    features = (
        logs_page,
        feedback_page,
        analytics_page,
        requests_page,
        pipeline_page,
        keys_page,
        trace_page,
        exports_page,
        feedback_forms,
        sign_in_page,
    )
    return [
        Route("/", _to_logs, methods=["GET"]),
        *(route for feature in features for route in feature.routes(pages)),
        Mount(f"/static/{STATIC_VERSION}", _KeptFiles(directory=STATIC), name="static"),
        *no_such_page.routes(pages),
    ]


async def _to_logs(_: Request) -> Response:
    return RedirectResponse("/logs", 307, headers=SECURITY_HEADERS)


class _KeptFiles(StaticFiles):
    """Static files whose address changes with their content."""

    def file_response(self, *arguments, **options) -> Response:  # type: ignore[no-untyped-def]
        """A file that browsers may cache for ever."""
        answer = super().file_response(*arguments, **options)
        answer.headers.update(SECURITY_HEADERS | {"cache-control": "public, max-age=31536000, immutable"})
        return answer

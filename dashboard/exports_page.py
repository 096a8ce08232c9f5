"""`/exports`: the exports of the workspace, and the form that exports the rows of a page."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard.api_client import in_path
from dashboard.export_order import order_of
from dashboard.page_query import PageQuery
from dashboard.pages import SECURITY_HEADERS, Pages, Viewer, form_of
from runtime.http_errors import ApiError

_PATH = "/exports"
_API = "/v1/logs/exports"
_SHOWN = "50"


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def show(request: Request, viewer: Viewer, problem: ApiError | None = None) -> Response:
        found = await viewer.api.get(_API, [("page_size", _SHOWN)])
        runs = any(each["status"] == "in_progress" for each in found["data"])
        status = problem.status if problem else 200
        return pages.render(request, viewer, "exports.html", status=status, found=found, runs=runs, problem=problem)

    async def create(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        query = PageQuery.of_text(form.get("query", "").removeprefix("?"))
        order = order_of(
            form.get("kind", ""), form.get("format", ""), query, datetime.now(UTC), with_bodies="bodies" in form
        )
        try:
            await _start(viewer, order)
        except ApiError as error:
            if error.status in (401, 503):
                raise
            return await show(request, viewer, error)
        return _back()

    async def change(request: Request, viewer: Viewer) -> Response:
        one = f"{_API}/{in_path((await form_of(request)).get('id', ''))}"
        is_cancel = request.url.path.endswith("/cancel")
        await viewer.api.send(*(("POST", f"{one}/cancel") if is_cancel else ("DELETE", one)))
        return _back()

    async def file(request: Request, viewer: Viewer) -> Response:
        export_id = in_path(request.query_params.get("id", ""))
        address = (await viewer.api.get(f"{_API}/{export_id}/download"))["signed_url"]
        parts = urlsplit(address)
        # If the API is this server, the viewer's browser reaches it under the name of this page.
        where = f"{parts.path}?{parts.query}" if pages.api.is_in_process else address
        return RedirectResponse(where, 303, headers=SECURITY_HEADERS)

    return [
        pages.get(_PATH, show),
        pages.post(_PATH, create),
        pages.post(f"{_PATH}/cancel", change),
        pages.post(f"{_PATH}/delete", change),
        pages.get(f"{_PATH}/file", file),
    ]


async def _start(viewer: Viewer, order: dict[str, Any]) -> None:
    """Order an export and start it. One that cannot be started is deleted."""
    export_id = (await viewer.api.send("POST", _API, order))["id"]
    try:
        await viewer.api.send("POST", f"{_API}/{export_id}/start")
    except ApiError:
        with suppress(ApiError):
            await viewer.api.send("DELETE", f"{_API}/{export_id}")
        raise


def _back() -> Response:
    return RedirectResponse(_PATH, 303, headers=SECURITY_HEADERS)

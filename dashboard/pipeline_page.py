"""`/pipeline`: whether the pipeline is stuck, what has become of all records, and dead letters to redrive."""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard import pipeline_view, record_bytes
from dashboard.page_query import PageQuery
from dashboard.pages import SECURITY_HEADERS, Pages, Viewer, form_of, query_of
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError

PAGE_SIZE = 20
_PATH = "/pipeline"
_COUNTED = ("sent", "unknown", "no_value", "sent_before", "changed_since")
"""Parameters of the page with the counts of a redrive."""


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def pipeline(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        asked = [(name, query.get(name)) for name in ("reason", "cursor") if query.get(name)]
        status, letters = await answers_of(
            _or_problem(viewer, "/v1/admin/pipeline"),
            _or_problem(viewer, "/v1/admin/dead-letters", [*asked, ("page_size", str(PAGE_SIZE))]),
        )
        return pages.render(
            request,
            viewer,
            "pipeline.html",
            **_shown(status),
            letters=None if isinstance(letters, ApiError) else letters,
            letters_problem=letters if isinstance(letters, ApiError) else None,
            redriven=_redriven(query),
            readable=record_bytes.readable,
            visible=record_bytes.visible,
        )

    async def status_part(request: Request, viewer: Viewer) -> Response:
        return pages.render(
            request, viewer, "pipeline_status.html", **_shown(await _or_problem(viewer, "/v1/admin/pipeline"))
        )

    async def waiting_part(request: Request, viewer: Viewer) -> Response:
        found = await viewer.api.get("/v1/admin/orphans")
        return pages.render(request, viewer, "pipeline_waiting.html", found=found)

    async def audit(_: Request, viewer: Viewer) -> Response:
        await viewer.api.send("POST", "/v1/admin/audit")
        return RedirectResponse(_PATH, 303, headers=SECURITY_HEADERS)

    async def redrive(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        body = {
            "places": form.get("places", "").split(),
            "again": form.get("again") == "yes",
            "force": form.get("force") == "yes",
        }
        answer = await viewer.api.send("POST", "/v1/admin/dead-letters/redrive", body)
        counted = {"sent": len(answer["sent"])}
        for each in answer["left"]:
            counted[each["why"]] = counted.get(each["why"], 0) + 1
        query = (
            PageQuery.of_text(form.get("query", ""))
            .set(dict.fromkeys(_COUNTED))
            .set({name: str(number) for name, number in counted.items()})
        )
        return RedirectResponse(query.link(_PATH) + "#letters", 303, headers=SECURITY_HEADERS)

    return [
        pages.get(_PATH, pipeline),
        pages.get(f"{_PATH}/status", status_part),
        pages.get(f"{_PATH}/waiting", waiting_part),
        pages.post(f"{_PATH}/audit", audit),
        pages.post(f"{_PATH}/redrive", redrive),
    ]


async def _or_problem(viewer: Viewer, path: str, asked: list[tuple[str, str]] | None = None) -> Any:
    """The answer of the API, or its ApiError if an engine is away or a parameter is wrong."""
    try:
        return await viewer.api.get(path, asked or ())
    except ApiError as error:
        if error.status not in (400, 503):
            raise
        return error


def _shown(status: Any) -> dict[str, Any]:
    if isinstance(status, ApiError):
        return {"state": None, "state_problem": status, "verdicts": [], "topics": []}
    return {
        "state": status,
        "state_problem": None,
        "verdicts": pipeline_view.verdicts(status),
        "topics": pipeline_view.topics(status),
    }


def _redriven(query: PageQuery) -> dict[str, int]:
    """The counts of a redrive that has just ended; empty if there was none."""
    return {
        name: int(text)
        for name in _COUNTED
        if (text := query.get(name)).isdecimal() and text.isascii() and len(text) < 5
    }

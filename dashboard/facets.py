"""Values to filter by beside a page, each with its count: of fields, and of keys of metadata.

They load apart from the page, so that neither waits for the other. Metadata keys have no columns, so counting all rows
of a month would take seconds: they are counted in the newest rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard.api_client import Parameters
from dashboard.list_page import get_or_none
from dashboard.pages import Pages, Viewer, query_of
from runtime.concurrent_calls import answers_of

NEWEST = 100_000
_MOST_KEYS, _SHOWN_KEYS = 20, "50"
_COUNTS_REQUESTS, _COUNTS_FEEDBACK = "/v1/logs/facets", "/v1/feedback/facets"


@dataclass(frozen=True)
class Counted:
    """What one of them is called, by which fields they are counted, and the API's routes that count these and the keys
    of metadata."""

    one: str
    fields: tuple[str, ...]
    path: str
    path_of_keys: str


REQUESTS = Counted(
    "request",
    ("ai_model", "ai_org", "prompt_slug", "environment", "status_code", "organisation", "user"),
    _COUNTS_REQUESTS,
    _COUNTS_REQUESTS,
)
FEEDBACK = Counted(
    "feedback",
    ("ai_model", "ai_org", "prompt_slug", "environment", "organisation", "user"),
    _COUNTS_FEEDBACK,
    _COUNTS_FEEDBACK,
)
FEEDBACK_OF_REQUESTS = replace(FEEDBACK, path_of_keys=_COUNTS_REQUESTS)
"""Feedback by what its requests say under the keys of metadata."""


def facet_routes(pages: Pages, page: str, counted: Counted) -> list[BaseRoute]:
    """The routes of the values beside this page, and of the list of keys within them."""

    async def facets(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        asked = query.for_api(datetime.now(UTC))
        by_field, by_key = await answers_of(
            get_or_none(viewer, counted.path, [*asked, ("fields", ",".join(counted.fields))]),
            _values_of_keys(viewer, counted.path_of_keys, query.keys, asked),
        )
        return pages.render(
            request,
            viewer,
            "facets.html",
            by_field=by_field,
            by_key=by_key,
            newest=NEWEST,
            page=page,
            facet_of=counted,
        )

    async def keys(request: Request, viewer: Viewer) -> Response:
        asked = [*query_of(request).for_api(datetime.now(UTC)), ("fields", "metadata"), ("limit", _SHOWN_KEYS)]
        found = await get_or_none(viewer, counted.path_of_keys, [*asked, ("newest", str(NEWEST))])
        facet = found["facets"][0] if found else None
        return pages.render(request, viewer, "metadata_keys.html", facet=facet, page=page)

    return [pages.get(f"{page}/facets", facets), pages.get(f"{page}/keys", keys)]


async def _values_of_keys(viewer: Viewer, path: str, keys: Sequence[str], asked: Parameters) -> Any:
    """The values of the keys that a page lists or filters by; None if there are none."""
    fields = [("fields", f"metadata.{key}") for key in keys[:_MOST_KEYS]]
    # The API splits a parameter that occurs once at its commas.
    fields = fields * 2 if len(fields) == 1 else fields
    return await get_or_none(viewer, path, [*asked, *fields, ("newest", str(NEWEST))]) if fields else None

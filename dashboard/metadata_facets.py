"""Facets of metadata: the keys to filter by, and the values of chosen keys, counted in the newest rows.

Metadata keys have no columns, so counting all rows of a month would take seconds.
"""

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard.api_client import Parameters
from dashboard.list_page import get_or_none
from dashboard.page_query import PageQuery
from dashboard.pages import Pages, Viewer, query_of

NEWEST = 100_000
_MOST_KEYS, _SHOWN_KEYS = 20, "50"


async def values_of_keys(viewer: Viewer, path: str, query: PageQuery, asked: Parameters) -> Any:
    """The facets of the keys that a page lists or filters by; None if there are none."""
    fields = [("fields", f"metadata.{key}") for key in query.keys[:_MOST_KEYS]]
    # The API splits a parameter that occurs once at its commas.
    fields = fields * 2 if len(fields) == 1 else fields
    return await get_or_none(viewer, path, [*asked, *fields, ("newest", str(NEWEST))]) if fields else None


def keys_route(pages: Pages, page: str, path: str) -> BaseRoute:
    """The route of the part that lists the keys; `path` is the API route that counts them."""

    async def keys(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        asked = [*query.for_api(datetime.now(UTC)), ("fields", "metadata"), ("limit", _SHOWN_KEYS)]
        found = await get_or_none(viewer, path, [*asked, ("newest", str(NEWEST))])
        return pages.render(
            request, viewer, "metadata_keys.html", facet=found["facets"][0] if found else None, page=page
        )

    return pages.get(f"{page}/keys", keys)

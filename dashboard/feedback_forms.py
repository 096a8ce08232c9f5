"""The forms that add, correct and delete feedback on a trace. Each returns to the page that it was sent from."""

import hashlib
import json
import time
from math import isfinite
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard.api_client import in_path
from dashboard.own_path import own_path
from dashboard.page_query import PageQuery
from dashboard.pages import SECURITY_HEADERS, Pages, Viewer, form_of
from runtime.http_errors import ApiError

COMMENT = "comment"
"""The metadata key of a comment."""
ONCE = "once"
"""The field of a form with a token of its own."""
FRESH = "fresh"
"""The parameter with the Unix seconds until which a page waits for feedback that was just accepted."""
_STORED_WITHIN_S = 8


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def add(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        comment = form.get(COMMENT, "").strip()
        body = {
            "trace_id": form.get("trace_id", ""),
            **_rating(form),
            "metadata": {COMMENT: comment} if comment else {},
        }
        await viewer.api.send("POST", "/v1/feedback", body, idempotency_key=_key_of(form, body))
        return _back(form)

    async def change(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        await viewer.api.send("PUT", f"/v1/feedback/{in_path(form.get('id', ''))}", _rating(form))
        return _back(form)

    async def delete(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        await viewer.api.send("DELETE", f"/v1/feedback/{in_path(form.get('id', ''))}")
        return _back(form)

    return [
        pages.post("/feedback/add", add),
        pages.post("/feedback/change", change),
        pages.post("/feedback/delete", delete),
    ]


def _key_of(form: dict[str, str], body: dict[str, Any]) -> str:
    """The same for the same words of the same form, so that feedback counts once which is sent again because nobody
    knows whether it has come. Other words are other feedback. Empty for a form without its token."""
    if not form.get(ONCE):
        return ""
    return hashlib.sha256(json.dumps([form[ONCE], body]).encode()).hexdigest()


def _rating(form: dict[str, str]) -> dict[str, Any]:
    """Value and weight of a form as numbers. The API checks their ranges."""
    try:
        value, weight = int(form.get("value", "")), float(form.get("weight") or 1)
        if not isfinite(weight):
            raise ValueError
        return {"value": value, "weight": weight}
    except ValueError:
        raise ApiError("value must be a whole number from −10 to 10, and weight a number from 0 to 1") from None


def _back(form: dict[str, str]) -> Response:
    path, _, text = own_path(form.get("next")).partition("?")
    query = PageQuery.of_text(text).beside(**{FRESH: str(int(time.time()) + _STORED_WITHIN_S)})
    return RedirectResponse(query.link(path), 303, headers=SECURITY_HEADERS)

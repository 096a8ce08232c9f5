"""The form that gives feedback: what is sent again counts once, what differs counts too."""

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard import feedback_forms
from dashboard.api_client import ApiClient
from dashboard.pages import Pages


async def keys_of(*forms: dict[str, str]) -> list[str | None]:
    """The idempotency keys under which an API is sent these forms, one after the other."""
    seen: list[str | None] = []

    async def api(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["method"] == "POST":
            seen.append(Request(scope).headers.get("idempotency-key"))
        await JSONResponse({"workspace": "default", "scopes": ["admin"], "key_id": None})(scope, receive, send)

    app = Starlette(routes=feedback_forms.routes(Pages(ApiClient(app=api), "")))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        for form in forms:
            reply = await client.post("/feedback/add", data=form, headers={"sec-fetch-site": "same-origin"})
            assert reply.status_code == 303, reply.text
    return seen


async def test_the_same_words_of_a_form_are_one_feedback_and_others_are_another() -> None:
    form = {"once": "a", "trace_id": "t", "value": "3", "weight": "1", "comment": "good"}
    same, again, other_words, other_form, without = await keys_of(
        form, form, {**form, "comment": "bad"}, {**form, "once": "b"}, {**form, "once": ""}
    )
    assert same == again
    assert len({same, other_words, other_form}) == 3
    assert same is not None
    assert without is None

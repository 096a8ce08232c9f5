"""A viewer whose key the API refuses: to the page to sign in, or on without the key where none is needed."""

from urllib.parse import quote

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from dashboard import no_such_page
from dashboard.api_client import ApiClient
from dashboard.pages import Pages
from runtime.http_errors import error_content
from runtime.request_headers import SESSION_COOKIE


def site(*, is_open: bool) -> httpx.AsyncClient:
    """A page over an API that refuses every key, and calls without a key unless it is open."""

    async def api(scope, receive, send):  # type: ignore[no-untyped-def]
        if is_open and "x-portkey-api-key" not in Request(scope).headers:
            answer = JSONResponse({"workspace": "default", "scopes": ["admin"], "key_id": None})
        else:
            answer = JSONResponse(error_content(401, "no such key"), 401)
        await answer(scope, receive, send)

    pages = Pages(ApiClient(app=api), "")

    async def page(*_: object) -> JSONResponse:
        return JSONResponse("the page")

    app = Starlette(routes=[pages.get("/page", page), pages.post("/form", page), *no_such_page.routes(pages)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def test_on_a_closed_server_they_are_asked_to_sign_in() -> None:
    reply = await site(is_open=False).get("/page?a=b", headers={"cookie": f"{SESSION_COOKIE}=old"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in?next=%2Fpage%3Fa%3Db")
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize(
    ("shown", "back"),
    [
        ("http://localhost/logs?a=b#c", "/logs?a=b"),
        ("http://localhost/feedback", "/feedback"),
        *((each, "/page?a=b") for each in ("", "http://[", "http://localhost//evil.example")),
    ],
)
async def test_who_has_asked_for_a_part_comes_back_to_the_page_that_shows_it(shown: str, back: str) -> None:
    asked = {"hx-request": "true", "hx-target": "section#summary", "hx-current-url": shown}
    reply = await site(is_open=False).get("/page?a=b", headers=asked)
    assert reply.headers["hx-redirect"] == f"/sign-in?next={quote(back, safe='')}"


@pytest.mark.parametrize("name", ["location", "hx-redirect"])
async def test_on_an_open_server_they_go_on_without_the_key(name: str) -> None:
    asked = {"hx-request": "true"} if name == "hx-redirect" else {}
    client = site(is_open=True)
    reply = await client.get("/page?a=b", headers={"cookie": f"{SESSION_COOKIE}=old", **asked})
    assert reply.headers[name] == "/page?a=b"
    assert reply.headers["set-cookie"].startswith(f'{SESSION_COOKIE}="";')
    assert (await client.get("/page")).json() == "the page"


@pytest.mark.parametrize("address", ["//evil.example/a", "/%2Fevil.example", "/%0A/evil.example"])
async def test_no_address_leads_them_to_another_server(address: str) -> None:
    asked = {"accept": "text/html", "cookie": f"{SESSION_COOKIE}=old"}
    reply = await site(is_open=True).get(f"http://localhost{address}", headers=asked)
    assert (reply.status_code, reply.headers["location"]) == (303, "/logs")


async def test_who_sends_a_form_keeps_it_and_is_told_where_to_sign_in() -> None:
    sent = {"hx-request": "true", "hx-current-url": "http://localhost/logs?open=a", "sec-fetch-site": "same-origin"}
    reply = await site(is_open=False).post("/form", headers=sent)
    assert (reply.status_code, reply.headers["hx-retarget"]) == (401, "closest form")
    assert "hx-redirect" not in reply.headers
    assert f"/sign-in?next={quote('/logs?open=a', safe='')}" in reply.text


async def test_who_sends_a_form_without_a_script_comes_back_to_its_page() -> None:
    sent = {"referer": "http://localhost/logs?open=a", "sec-fetch-site": "same-origin"}
    reply = await site(is_open=False).post("/form", headers=sent)
    assert reply.headers["location"] == f"/sign-in?next={quote('/logs?open=a', safe='')}"

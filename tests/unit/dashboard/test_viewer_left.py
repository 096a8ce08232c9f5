"""What is asked for a page ends when its viewer leaves; a form that was sent is seen through."""

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response

from dashboard.api_client import ApiClient
from dashboard.pages import Pages


async def api(scope: Any, receive: Any, send: Any) -> None:
    await JSONResponse({"workspace": "default", "scopes": ["admin"], "key_id": None})(scope, receive, send)


@pytest.mark.parametrize(("method", "ends"), [("GET", True), ("POST", False)])
async def test_a_page_is_asked_for_no_longer_when_its_viewer_leaves(method: str, ends: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()
    fate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def page(*_: object) -> Response:
        asked.set()
        try:
            await asyncio.sleep(0.05 if method == "POST" else 60)
        except asyncio.CancelledError:
            fate.set_result("ended")
            raise
        fate.set_result("seen through")
        return Response()

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(_: object) -> None:
        """To nobody."""

    pages = Pages(ApiClient(app=api), "")
    app = Starlette(routes=[pages.get("/page", page), pages.post("/page", page)])
    scope = {"type": "http", "scheme": "http", "http_version": "1.1", "method": method, "path": "/page",
             "root_path": "", "query_string": b"", "headers": [(b"sec-fetch-site", b"same-origin")]}  # fmt: skip
    call = asyncio.create_task(app(scope, receive, send))
    await asyncio.wait_for(asked.wait(), 10)
    left.set()
    assert await asyncio.wait_for(fate, 10) == ("ended" if ends else "seen through")
    await call

"""Which methods a path has: what a 405 says is what the document says, whichever rooms have the routes of the path."""

import re

import httpx

from tests.unit.whole_api import described_api


async def asked(method: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(described_api().app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.request(method, path)


# All in one test: what paths there are takes each process that collects seconds to tell.
async def test_what_is_not_possible_at_a_path_is_answered_with_all_that_is() -> None:
    for path, operations in described_api().app.openapi()["paths"].items():
        reply = await asked("PATCH", re.sub(r"\{\w+\}", "a", path))
        assert reply.status_code == 405, path
        (allowed,) = reply.headers.get_list("allow")
        assert {*allowed.split(", ")} >= {each.upper() for each in operations}, path


async def test_a_probe_may_ask_for_the_head_alone() -> None:
    reply = await asked("HEAD", "/healthz")
    assert reply.status_code == 200

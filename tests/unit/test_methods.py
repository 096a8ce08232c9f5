"""Which methods a path has: what a 405 says is what the document says, whichever rooms have the routes of the path."""

import re

import httpx
import pytest

from tests.unit.whole_api import described_api

API = described_api()
BY_PATH = {path: {each.upper() for each in operations} for path, operations in API.app.openapi()["paths"].items()}


async def asked(method: str, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(API.app), base_url="http://localhost") as client:
        return await client.request(method, path)


@pytest.mark.parametrize("path", BY_PATH)
async def test_what_is_not_possible_at_a_path_is_answered_with_all_that_is(path: str) -> None:
    reply = await asked("PATCH", re.sub(r"\{\w+\}", "a", path))
    assert reply.status_code == 405
    (allowed,) = reply.headers.get_list("allow")
    assert {*allowed.split(", ")} >= BY_PATH[path]


async def test_a_probe_may_ask_for_the_head_alone() -> None:
    reply = await asked("HEAD", "/healthz")
    assert reply.status_code == 200

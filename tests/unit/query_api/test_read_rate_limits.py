"""Every route that asks who calls counts its questions, once each, and tells what is left, whatever it answers."""

import re
from typing import Any

import httpx
import pytest

from deploy.api import extend
from ingest_api.app import create_app
from ingest_api.http.edge_app import EdgeApp
from ingest_api.settings import Settings
from query_api.settings import QuerySettings
from runtime.api_key_authentication import OPEN
from runtime.rate_limit import RateLimits
from tests.unit.whole_api import described_api

NO_KEY = ("/healthz", "/readyz", "/metrics", "/v1/logs/exports/{export_id}/file")


@pytest.fixture(scope="module")
def made() -> EdgeApp:
    made = create_app(Settings())
    extend(made, QuerySettings(clickhouse_url="http://127.0.0.1:1"))
    made.api_keys.unread.clear()
    made.state.authenticator.mark_fresh(2**62)
    return made


@pytest.fixture
def app(made: EdgeApp, monkeypatch: pytest.MonkeyPatch) -> EdgeApp:
    made.state.read_limits = RateLimits(2, "questions")
    monkeypatch.setattr("query_api.auth.now_ms", lambda: 0)
    return made


def routes() -> set[tuple[str, str]]:
    made = create_app(Settings())
    before = {(method, path) for path, methods in made.openapi()["paths"].items() for method in methods}
    paths: dict[str, Any] = described_api().app.openapi()["paths"]
    return {(method, path) for path, methods in paths.items() for method in methods} - before


# All in one test: what routes there are takes each process that collects a second to tell.
async def test_a_question_too_many_is_refused_before_any_engine_is_asked(app: EdgeApp) -> None:
    for method, path in sorted(routes()):
        app.state.read_limits = RateLimits(2, "questions")
        await refuses_the_second(app, method, path)


async def refuses_the_second(app: EdgeApp, method: str, path: str) -> None:
    place = re.sub(r"\{\w+\}", "01970000-0000-8000-8000-9b11edf90000", path)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        app.state.read_limits.bucket(OPEN, 0).take(1)
        first, second = [await client.request(method, place, json={}) for _ in range(2)]
    if path in NO_KEY:
        assert "ratelimit-limit" not in first.headers, path
        return
    assert first.status_code != 429, (method, path)
    assert (first.headers["ratelimit-limit"], first.headers["ratelimit-remaining"]) == ("2", "0"), (method, path)
    assert (second.status_code, second.headers["retry-after"]) == (429, "1"), (method, path)
    assert second.json()["error"]["code"] == "AB06"
    assert second.headers["ratelimit-limit"] == "2"


async def test_zero_is_no_limit() -> None:
    made = create_app(Settings())
    extend(made, QuerySettings(read_rate_limit_per_s=0))
    assert made.state.read_limits.bucket(OPEN, 0) is None

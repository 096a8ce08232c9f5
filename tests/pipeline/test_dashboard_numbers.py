"""What the dashboard's pages say is what the API answers, and what plain Python finds in the rows."""

from collections.abc import Iterator
from html import unescape
from re import findall, sub
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from tests.pipeline.analytics_world import World, queries_over

ALL_TIME = {"time_of_generation_min": "2025-10-20", "time_of_generation_max": "2025-11-10"}


class Site:
    """The dashboard over the queries of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        pages = Starlette(routes=dashboard_routes(ApiClient(app=queries_over(world.url)), "http://api"))
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://site")

    def page(self, path: str, status: int = 200, **parameters: Any) -> str:
        reply = self._world.runner.run(self._http.get(path, params={**ALL_TIME, **parameters}))
        assert reply.status_code == status, reply.text
        return reply.text

    def close(self) -> None:
        self._world.runner.run(self._http.aclose())


@pytest.fixture(scope="module")
def site(world: World) -> Iterator[Site]:
    made = Site(world)
    yield made
    made.close()


def cells(html: str, row_id: str = r"[^\"]+") -> list[list[str]]:
    """The text of the cells of each row of a page's tables."""
    rows = findall(rf'<tr id="{row_id}".*?</tr>', sub(r"\s+", " ", html))
    return [[text_of(cell) for cell in findall(r"<t[dh]\b.*?</t[dh]>", row)] for row in rows]


def text_of(html: str) -> str:
    return " ".join(unescape(sub(r"<[^>]+>", " ", html)).split())


def test_each_row_of_the_feedback_page_is_one_of_the_api(world: World, site: Site) -> None:
    listed = world.runner.run(world.api.get("/v1/feedback", params=ALL_TIME)).json()["data"]
    shown = cells(site.page("/feedback"), 'row-[^"]+')
    assert len(shown) == len(listed) == 50
    for row, each in zip(shown, listed, strict=True):
        assert each["created_at"][:19].replace("T", " ") in row[0]
        assert row[1].endswith(
            f"value {each['value']:+d}, weight {each['weight']}".replace("-", "−").replace("+0", "0")
        )
        assert row[3:8] == [
            each[name] or "–" for name in ("_user", "_prompt")
        ] + [", ".join(each["models"]) or "–", each["_environment"] or "–", each["_organisation"] or "–"]  # fmt: skip
        assert row[8:] == [each["join_state"], each["trace_id"]]


def test_a_faulty_filter_is_told_beside_the_filters_and_the_page_still_stands(site: Site) -> None:
    html = site.page("/feedback", 400, join_state="lost")
    assert "join_state must be pending, joined or orphaned" in text_of(html)
    assert 'id="filters"' in html

"""`/requests` shows the API's numbers of the requests that its address asks for, and leads to those requests."""

import json
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from tests.pipeline.query_api.analytics_world import World, queries_over
from tests.pipeline.query_api.test_analytics_http import ALL_TIME, NO_TIME


@pytest.fixture(scope="module")
def pages(world: World) -> httpx.AsyncClient:
    app = Starlette(routes=dashboard_routes(ApiClient(app=queries_over(world.url)), "http://api"))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


def page_text(world: World, pages: httpx.AsyncClient, path: str, **parameters: str) -> str:
    reply = world.runner.run(pages.get(path, params=parameters))
    assert reply.status_code == 200, reply.text
    return reply.text


def charts(page: str) -> dict[str, Any]:
    """The data of each chart by its name."""
    found = re.findall(r'<time-chart aria-label="([^"]+)" data-chart="([^"]+)"', page)
    return {name: json.loads(unescape(data)) for name, data in found}


def links(page: str, name: str) -> list[dict[str, list[str]]]:
    """What links to the logs ask for, where they set this filter."""
    asked = [parse_qs(urlsplit(unescape(each)).query) for each in re.findall(r'href="(/logs\?[^"]+)"', page)]
    return [each for each in asked if name in each]


def test_charts_and_figures_are_the_answers_of_the_api(world: World, pages: httpx.AsyncClient) -> None:
    page = page_text(world, pages, "/requests/charts", **ALL_TIME)
    rate, latency = (world.get(f"graphs/{name}", **ALL_TIME) for name in ("errors/rate", "latency"))
    found = charts(page)
    assert len(found) == 4
    requests, errors = found["Requests and errors"]["series"]
    assert requests["values"] == [each["requests"] for each in rate["data_points"]]
    assert (errors["values"], errors["colour"]) == ([each["errors"] for each in rate["data_points"]], "bad")
    assert found["Latency in ms"]["series"][2]["values"] == [each["p99"] for each in latency["data_points"]]
    assert f"{rate['summary']['requests']:,}</a>" in page
    codes = world.get("graphs/errors/status-codes", **ALL_TIME)["data_points"]
    assert codes
    asked = links(page, "status_code")
    assert [each["status_code"] for each in asked] == [[str(code["status_code"])] for code in codes[:12]]
    assert {each["time_of_generation_min"][0] for each in asked} == {ALL_TIME["time_of_generation_min"]}


def test_a_row_leads_to_its_requests_with_the_filters_that_are_set(world: World, pages: httpx.AsyncClient) -> None:
    page = page_text(world, pages, "/requests/tables", **ALL_TIME, environment="production", sort="-cost")
    parameters = ALL_TIME | {"environment": "production", "order_by": "cost", "columns": "requests,cost"}
    for path, name in (("ai-models", "ai_model"), ("users", "user")):
        groups = world.get(f"groups/{path}", **parameters, page_size="15")["data"]
        asked = links(page, name)
        assert [each[name][0] for each in asked] == [group[name] for group in groups if group[name]] != []
        assert all(each["environment"] == ["production"] and "sort" not in each for each in asked)
    assert page.count('aria-sort="descending"') == 2


def test_no_requests_and_wrong_filters_are_told(world: World, pages: httpx.AsyncClient) -> None:
    assert "No requests in this time" in page_text(world, pages, "/requests/charts", **NO_TIME)
    assert "<table" not in page_text(world, pages, "/requests/tables", **NO_TIME)
    wrong = page_text(world, pages, "/requests/charts", **ALL_TIME, cost_min="much")
    assert "Cost in US cents at least must be a number" in " ".join(re.sub("<[^>]+>", " ", wrong).split())
    assert 'value="nobody&#39;s"' in page_text(world, pages, "/requests", user="nobody's")

"""What the dashboard's pages say is what the API answers, and what plain Python finds in the rows."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import pairwise
from re import findall, sub
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.applications import Starlette

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from dashboard.rendering import count, milliseconds, money, short_count, signed
from dashboard.verdict import verdict
from tests.pipeline.query_api.analytics_data import sums_of
from tests.pipeline.query_api.analytics_world import World, queries_over

ALL_TIME = {"time_of_generation_min": "2025-10-20", "time_of_generation_max": "2025-11-10"}


class Site:
    """The dashboard over the queries of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        pages = Starlette(routes=dashboard_routes(ApiClient(app=queries_over(world.url)), "http://api"))
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://site")

    def page(self, path: str, status: int = 200, cookies: dict[str, str] | None = None, **parameters: Any) -> str:
        address = path if "?" in path else f"{path}?{urlencode({**ALL_TIME, **parameters})}"
        headers = {"cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
        reply = self._world.runner.run(self._http.get(address, headers=headers))
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
        value = f"{each['value']:+d}".replace("-", "−") if each["value"] else "0"
        assert row[1].endswith(f"value {value}, weight {each['weight']}")
        said = (each["_user"], each["_prompt"], ", ".join(each["models"]), each["_environment"], each["_organisation"])
        assert row[3:8] == [text or "–" for text in said]
        assert row[8:] == [each["join_state"], each["trace_id"]]


def api_answer(world: World, path: str, **parameters: str) -> Any:
    return world.get(path, **ALL_TIME, **parameters)


def charts(html: str) -> list[dict[str, Any]]:
    return [json.loads(unescape(each)) for each in findall(r'data-chart="([^"]*)"', html)]


def test_the_figures_are_those_of_the_rows(world: World, site: Site) -> None:
    shown = text_of(site.page("/analytics/figures", prompt_slug="p1"))
    rows = [row for row in world.stored.feedback if row["_prompt"] == "p1"]
    requests = [row for row in world.stored.requests if row["_prompt"] == "p1"]
    sums = sums_of(rows)
    assert f"Feedback Count {len(rows)} Weighted average {signed(sums.weighted_mean)}" in shown
    assert f"Mean of value × weight {signed(sums.avg)}" in shown
    for filters, among in (({"prompt_slug": "p1"}, requests), ({}, world.stored.requests)):
        judged = sum(bool(world.stored.feedback_of(row["trace_id"])) for row in among)
        assert 0 < judged < len(among)
        said = f"Coverage {100 * judged / len(among):.1f} % {judged} of {len(among)} requests with feedback"
        for _ in range(2):
            assert said in text_of(site.page("/analytics/coverage", **filters)), "also from days that are kept"


def test_the_summary_of_the_logs_is_that_of_the_rows(world: World, site: Site) -> None:
    shown = text_of(site.page("/logs/summary", environment="production", total_units_max="60"))
    small = [row for row in world.stored.requests if row["total_tokens"] is not None and row["total_tokens"] <= 60]
    rows = [row for row in small if row["_environment"] == "production"]
    errors = sum(not 100 <= row["status"] < 400 for row in rows)
    took, tokens, costs = (
        [row[name] for row in rows if row[name] is not None] for name in ("response_time_ms", "total_tokens", "cost")
    )
    traces = {row["trace_id"] for row in small}
    given = [row for row in world.stored.feedback if row["_environment"] == "production" and row["trace_id"] in traces]
    assert min(errors, len(costs), len(given)) > 0
    for told in (
        f"Requests {len(rows)} Errors {errors} {100 * errors / len(rows):.1f} %",
        f"Latency p50 {milliseconds(sorted(took)[len(took) // 2])}",
        f"Tokens {short_count(sum(tokens))} {count(sum(tokens) / len(tokens))} each",
        f"Cost {money(sum(costs))} {money(sum(costs) / len(costs))} each",
        f"Feedback given {len(given)} Weighted average {signed(sums_of(given).weighted_mean)}",
    ):
        assert told in shown


def test_days_of_requests_begin_in_the_viewers_zone_also_if_clocks_change(world: World, site: Site) -> None:
    html = site.page("/requests/charts", cookies={"feedback_zone": "Europe%2FBerlin"})
    drawn = charts(html)[0]
    berlin = ZoneInfo("Europe/Berlin")
    days = [datetime.fromtimestamp(at, berlin) for at in drawn["times"]]
    assert {(day.hour, day.minute) for day in days} == {(0, 0)}
    assert timedelta(hours=25) in {later - day for day, later in pairwise(map(_utc, days))}
    counted = Counter(row["started_at"].astimezone(berlin).date() for row in world.stored.requests)
    assert drawn["series"][0]["values"] == [counted[day.date()] for day in days]


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


def test_charts_draw_the_numbers_of_the_api_in_the_viewers_zone(world: World, site: Site) -> None:
    html = site.page("/analytics/charts", cookies={"feedback_zone": "Asia%2FKathmandu"})
    means, counts = charts(html)
    zone = {"time_zone": "Asia/Kathmandu"}
    points = api_answer(world, "graphs/feedbacks/intervals", **zone)["data_points"]
    assert means["times"] == [datetime.fromisoformat(point["timestamp"]).timestamp() for point in points]
    drawn = {each["name"]: each["values"] for each in means["series"]}
    fields = {
        "95 % from": "weighted_mean_low",
        "to": "weighted_mean_high",
        "Weighted average": "weighted_mean",
        "n": "n",
    }
    assert drawn == {name: [point[field] for point in points] for name, field in fields.items()}
    points = api_answer(world, "graphs/feedbacks", **zone)["data_points"]
    assert {each["name"].lower(): each["values"] for each in counts["series"]} == {
        name: [point[name] for point in points] for name in ("positive", "neutral", "negative")
    }
    bars = findall(r'title="([\d,]+) with the value ([^"]+)"', html)
    values = [row["value"] for row in world.stored.feedback]
    assert [(int(count), int(value.replace("−", "-"))) for count, value in bars] == [
        (values.count(value), value) for value in range(-10, 11)
    ]


def test_rows_of_groups_are_the_apis_in_its_order_and_lead_to_their_requests(world: World, site: Site) -> None:
    html = site.page("/analytics/groups", by="tier", sort="weighted_mean")
    groups = api_answer(
        world, "groups/feedback", by="metadata.tier", order_by="weighted_mean", order_by_type="asc", page_size="25"
    )["data"]
    shown = cells(html, r"group-\d+")
    assert [(row[0], row[1], row[3], row[5]) for row in shown] == [
        (each["value"] or "(none)", str(each["n"]), signed(each["weighted_mean"]), signed(each["avg"]))
        for each in groups
    ]
    links = {unescape(link) for link in findall(r'class="open" href="([^"]+)"', html)}
    assert len(links) == sum(bool(each["value"]) for each in groups)
    for link in links:
        assert cells(site.page(link), 'log-[^"]+')


def test_the_verdict_is_that_on_the_apis_comparison(world: World, site: Site) -> None:
    shown = text_of(site.page("/analytics/comparison", against="prompt_slug", one="p1", other="p2"))
    found = api_answer(world, "comparison", prompt_slug="p1", baseline_prompt_slug="p2")
    said = verdict(found["current"], found["baseline"], found["difference"]["weighted_mean"])
    assert said.sentence in shown
    for side in ("current", "baseline"):
        low, high = (signed(found[side][f"weighted_mean_{end}"]) for end in ("low", "high"))
        assert f"{signed(found[side]['weighted_mean'])} 95 % interval {low} to {high}, n = {found[side]['n']}" in shown
    before = text_of(site.page("/analytics/comparison", time_of_generation_min="2025-10-26"))
    found = world.get(
        "comparison",
        time_of_generation_min="2025-10-26",
        time_of_generation_max="2025-11-10",
        baseline_time_of_generation_min="2025-10-11",
        baseline_time_of_generation_max="2025-10-26",
    )
    said = verdict(found["current"], found["baseline"], found["difference"]["weighted_mean"])
    assert said.sentence in before


@pytest.mark.parametrize("part", ["figures", "charts", "groups", "comparison"])
def test_a_part_that_cannot_be_told_says_so_where_it_stands(site: Site, part: str) -> None:
    html = site.page(f"/analytics/{part}", 400, time_of_generation_min="yesterday")
    assert f'<section id="{part}"' in html
    assert ("From must be" in text_of(html)) == (part == "figures")


def test_a_faulty_filter_is_told_beside_the_filters_and_the_page_still_stands(site: Site) -> None:
    html = site.page("/feedback", 400, join_state="lost")
    assert "State must be pending, joined or orphaned" in text_of(html)
    assert 'id="filters"' in html

"""A time is chosen on a chart by keys, by a click and by fingers; below it stand the numbers of the whole time."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard_system import Workspace
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


def chosen_days(page: Page) -> float:
    """How long the time is that the address asks for."""
    expect(page).to_have_url(re.compile("time_of_generation_max"))
    asked = dict(parse_qsl(urlsplit(page.url).query))
    since, until = (datetime.fromisoformat(asked[f"time_of_generation_{end}"]) for end in ("min", "max"))
    return (until - since) / timedelta(days=1)


def test_a_time_on_a_chart_is_chosen_by_keys_and_by_a_click(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page_with("overview", path="/logs?range=30d")
    page.locator("time-chart").focus()
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#news")).to_contain_text(re.compile(r"Requests \d+, Feedback \d+"))
    page.keyboard.press("Enter")
    assert chosen_days(page) == 2
    page.goto("/logs?range=30d")
    page.locator("time-chart .u-over").click()
    assert chosen_days(page) == 1


def test_a_month_on_a_chart_has_its_own_length_and_its_year(furnished: Workspace, visitor: Visit) -> None:
    times = "time_of_generation_min=2022-01-01T00:00:00Z"
    page = visitor(furnished, timezone_id="UTC").page_with("overview", path=f"/logs?{times}")
    chart = page.locator("time-chart")
    for month, days in (("Jan", 31), ("Feb", 28)):
        chart.focus()
        chart.press("ArrowRight")
        if month == "Feb":
            chart.press("ArrowRight")
        chart.press("Enter")
        assert chosen_days(page) == days
        page.goto(f"/logs?{times}")
    years = page.evaluate("timesBelow(null, [1640995200, 1672531200], null, null, 31536000)")
    assert years == ["Jan 2022", "Jan 2023"]


_DRAW = """([chart, kind]) => {
  const element = document.createElement("time-chart");
  Object.assign(element.dataset, { chart, kind });
  document.querySelector("main").prepend(element);
}"""
_BESIDE = """() => {
  const { plot } = document.querySelector("time-chart"), [, axis] = plot.axes;
  plot.ctx.font = getComputedStyle(document.documentElement).fontSize + " system-ui";
  return { labels: axis._values, isWhole: axis._values.every(each => plot.ctx.measureText(each).width <= axis._size) };
}"""
_IS_SEEN = """at => {
  const { plot } = document.querySelector("time-chart");
  const [left, top] = [plot.valToPos(plot.data[0][at], "x", true), plot.valToPos(plot.data[1][at], "y", true)];
  const { data } = plot.ctx.getImageData(left - 3, top - 3, 7, 7), line = plot.series[1].stroke(plot, 1);
  const wanted = line.match(/[\\da-f]{2}/gi).map(each => parseInt(each, 16));
  return data.some((_, index) => index % 4 === 0 && wanted.every((each, part) => data[index + part] === each));
}"""


def drawn(page: Page, values: list[float | None], kind: str = "lines", unit: str = "", whole: float = 1) -> None:
    """Put a chart of these values on the page, an hour between two."""
    series: dict[str, Any] = {"name": "Number", "values": values, "whole": whole, "unit": unit}
    times = [1_790_000_000 + 3600 * hour for hour in range(len(values))]
    page.evaluate(_DRAW, [json.dumps({"times": times, "series": [series], "bucket_s": 3600}), kind])
    page.wait_for_function("() => document.querySelector('time-chart').plot?.axes[1]._values")


def test_a_value_without_neighbours_is_seen_in_a_long_time(workspace: Workspace, visitor: Visit) -> None:
    page = visitor(workspace).page("/exports")
    drawn(page, [412 if hour == 70 else None for hour in range(144)])
    assert page.evaluate(_IS_SEEN, 70)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0, 1], ["0", "1"]), ([0, 2], ["0", "1", "2"]), ([0, 1_280_000], ["0", "0.5M", "1M"]),
        ([0, 0.0005], ["0", "0.0002", "0.0004"]), ([-1, 1.5], ["−1", "0", "1"]),
        ([0, 34_500], ["0", "10,000", "20,000", "30,000"]),
    ],
)  # fmt: skip
def test_numbers_beside_a_chart_are_whole_where_it_counts_and_fit(
    workspace: Workspace, visitor: Visit, values: list[float | None], labels: list[str]
) -> None:
    page = visitor(workspace).page("/exports")
    drawn(page, values, "bars")
    beside = page.evaluate(_BESIDE)
    shown = [each for each in beside["labels"] if each]
    assert set(labels) <= set(shown)
    assert len(set(shown)) == len(shown)
    assert all("." not in each or each.endswith("M") for each in shown) or max(value or 0 for value in values) % 1
    assert beside["isWhole"]


@pytest.mark.parametrize(
    ("whole", "unit", "text"),
    [(0.892, "dollars", "$0.892"), (12.5, "dollars", "$12.50"), (674.9, "ms", "675 ms"), (16_320, "ms", "16.3 s"),
     (0.809, "mean", "+0.81"), (-0.4, "mean", "−0.40"), (0, "mean", "0.00"), (155_113, "", "155,113")],
)  # fmt: skip
def test_the_legend_writes_numbers_as_the_page_does(
    workspace: Workspace, visitor: Visit, whole: float, unit: str, text: str
) -> None:
    page = visitor(workspace).page("/exports")
    drawn(page, [1, 2], unit=unit, whole=whole)
    expect(page.locator(".u-legend")).to_contain_text(text)

"""A time is chosen on a chart by keys, by a click and by fingers; below it stand the numbers of the whole time."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

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

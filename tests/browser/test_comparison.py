"""Two values of a key of metadata are compared, and the address says which."""

import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.visitor import Visitor


def test_two_releases_are_compared_from_the_table_or_by_the_name_of_the_key(
    workspace: Workspace, visitor: Callable[..., Visitor]
) -> None:
    given = {"1.9": (-3, -2, -4), "2.0": (6, 7, 8, 9)}
    traces = [(f"{release}-{value}", release, value) for release, values in given.items() for value in values]
    workspace.log(*(request_log(trace, release=release) for trace, release, _ in traces))
    workspace.rate_all(*({"trace_id": trace, "value": value} for trace, _, value in traces))
    page = visitor(workspace).page_with("comparison", "groups", path="/analytics?by=metadata.release")
    comparison = page.locator("#comparison")
    comparison.get_by_role("link", name="release").click()
    expect(page).to_have_url(re.compile("against=metadata.release"))
    expect(comparison.locator("dt")).to_have_text(["2.0", "1.9"])
    expect(comparison.locator("dd.big")).to_have_text(["+7.50", "−3.00"])
    expect(comparison.locator(".verdict")).to_contain_text("Better by 10.5")
    page.locator("#groups").get_by_role("link", name="3", exact=True).click()
    expect(page.locator("tbody .pair .sr")).to_have_text(
        ["value −4, weight 1.0", "value −3, weight 1.0", "value −2, weight 1.0"]
    )
    page.go_back()
    comparison.get_by_label("First").select_option("1.9")
    comparison.get_by_label("Compared with").select_option("2.0")
    expect(comparison.locator(".verdict")).to_contain_text("Worse by 10.5")
    page.goto("/analytics")
    comparison.get_by_label("A key of metadata").fill("release")
    comparison.get_by_role("button", name="Compare").click()
    expect(comparison.locator("dd.big")).to_have_text(["+7.50", "−3.00"])
    expect(comparison.get_by_role("link", name="release")).to_have_attribute("aria-current", "true")


def test_a_choice_replaces_one_that_is_not_answered_yet(workspace: Workspace, visitor: Callable[..., Visitor]) -> None:
    given = {"1.9": (-3, -2, -4), "2.0": (6, 7, 8, 9)}
    traces = [(f"{release}-{value}", release, value) for release, values in given.items() for value in values]
    workspace.log(*(request_log(trace, release=release) for trace, release, _ in traces))
    workspace.rate_all(*({"trace_id": trace, "value": value} for trace, _, value in traces))
    page = visitor(workspace).page_with("comparison", path="/analytics?against=metadata.release")
    comparison = page.locator("#comparison")
    expect(comparison.locator(".verdict")).to_contain_text("Better by 10.5")
    unanswered: list[Route] = []
    page.route(re.compile("one=1.9&other=1.9"), lambda route: unanswered.append(route))
    comparison.get_by_label("First").select_option("1.9")
    comparison.get_by_label("Compared with").select_option("2.0")
    expect(comparison.locator(".verdict")).to_contain_text("Worse by 10.5")
    assert len(unanswered) == 1

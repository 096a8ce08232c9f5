"""While ClickHouse is away every page says so in plain words, and comes back by itself when ClickHouse is back."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from runtime.addresses import without_password
from tests.browser.dashboard_system import DashboardSystem, Workspace, request_log
from tests.browser.visitor import Visitor
from tests.pipeline.engines import answers, until

Visit = Callable[..., Visitor]
TOLD = re.compile("ClickHouse does not answer in time|not been read from ClickHouse")
WITH_PARTS = {"/analytics": ("#figures", "#charts", "#comparison", "#groups"), "/requests": ("#charts", "#tables"),
              "/pipeline": ("#status", "#waiting", "#letters")}  # fmt: skip
"""Pages that ask for nothing themselves, with the parts that do."""
WHOLE = ("/logs", "/feedback", "/trace?id=outage", "/keys")


@pytest.fixture
def clickhouse(system: DashboardSystem) -> Iterator[Callable[[], None]]:
    """ClickHouse is gone, as after a crash; what is given starts it again."""
    process = system.engines.clickhouse_process
    assert process is not None
    process.kill()

    def back() -> None:
        if not process.running:
            process.start()
        until(lambda: answers(f"{without_password(system.engines.clickhouse)}/ping"), "ClickHouse is back")

    yield back
    back()
    until(lambda: system.workspace().call("GET", "/v1/logs").ok, "the API answers")


@pytest.fixture
def rated(workspace: Workspace) -> Workspace:
    workspace.log(request_log("outage"))
    workspace.rate("outage", 3, 0.5)
    return workspace


@pytest.fixture
def somebody(rated: Workspace, visitor: Visit) -> Visitor:
    """One who meets with the outage, and need not wait for what renews itself."""
    made = visitor(rated)
    made.expect("status of 503")
    made.context.clock.install()
    return made


@pytest.fixture
def open_before(somebody: Visitor) -> list[Page]:
    """A list of requests, one of feedback, and the pipeline, open before ClickHouse goes."""
    return [somebody.quiet_page(path) for path in ("/logs", "/feedback", "/pipeline")]


def is_told_in_plain_words(page: Page, part: str = "main") -> None:
    expect(page.locator(part).first).to_contain_text(TOLD)
    expect(page.locator(part).first).not_to_contain_text("Counting")
    text = page.locator("body").inner_text()
    assert not re.search("Traceback|Exception|Error:|http://", text), text


def test_every_page_says_so_and_comes_back(
    somebody: Visitor, open_before: list[Page], clickhouse: Callable[[], None]
) -> None:
    logs, feedback, pipeline = open_before
    logs.locator("#rows a.open").click()
    # All at once: each question waits for ClickHouse as long as it may.
    opened = {path: somebody.page_under_way(path) for path in (*WHOLE, *WITH_PARTS)}
    for path, page in opened.items():
        for part in WITH_PARTS.get(path, ("main",)):
            is_told_in_plain_words(page, part)
    somebody.skip_an_interval()
    for page in (logs, feedback):
        is_told_in_plain_words(page, "#outage")
        expect(page.locator("#rows tbody tr")).to_have_count(1)
    is_told_in_plain_words(pipeline, "#status")
    is_told_in_plain_words(logs, "#drawer")

    clickhouse()
    somebody.skip_an_interval()
    for page in (logs, feedback, opened["/logs"], opened["/feedback"]):
        expect(page.locator("#outage")).to_be_empty()
        expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(logs.locator("#drawer h1")).to_have_text("outage")
    expect(opened["/trace?id=outage"].locator("h1.id")).to_have_text("outage")
    expect(opened["/keys"].locator("tbody tr")).to_have_count(1)
    for path, parts in WITH_PARTS.items():
        for part in parts:
            expect(opened[path].locator(part)).not_to_contain_text(TOLD)
            expect(opened[path].locator(part)).not_to_be_empty()
    expect(pipeline.locator("#status")).to_contain_text("Accepted")
    expect(opened["/pipeline"].locator("#checks")).to_contain_text("Audit now")
    expect(opened["/logs"].locator("time-chart")).to_be_visible()
    expect(opened["/analytics"].locator("#figures")).to_contain_text("Feedback Count")


def test_a_part_whose_question_was_lost_asks_again(rated: Workspace, visitor: Visit) -> None:
    somebody = visitor(rated)
    somebody.expect("ERR_FAILED|Failed to fetch|htmx:error")
    page, lost = somebody.page(), []
    page.clock.install()

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route)
            route.abort()

    page.route("**/requests/charts*", lose_the_first)
    page.goto("/requests")
    until(lambda: page.evaluate("1") and bool(lost), "the question was lost")
    expect(page.locator("#charts")).to_contain_text("Counting")
    page.clock.fast_forward(5_000)
    expect(page.locator("#charts")).not_to_contain_text("Counting")
    expect(page.locator("#charts time-chart").first).to_be_visible()

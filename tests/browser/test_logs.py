"""The list of requests: it shows what comes, and its address says all that it shows."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.dashboard_system import DashboardSystem, Workspace, request_log
from tests.browser.visitor import Visitor, quiet
from tests.pipeline.engines import until

Visit = Callable[..., Visitor]
MODELS = ("gpt-4o", "claude-sonnet")


def fill(workspace: Workspace) -> Workspace:
    """Six requests of two models, and feedback on the first trace."""
    workspace.log(*(request_log(f"trace-{n}", model=MODELS[n % 2], said=f"Question {n}") for n in range(6)))
    workspace.rate("trace-0", 5, 0.5)
    return workspace


@pytest.fixture(scope="module")
def filled(system: DashboardSystem) -> Workspace:
    """One for all tests that only look at it."""
    return fill(system.workspace())


@pytest.fixture
def growing(workspace: Workspace) -> Workspace:
    """One that gets more."""
    return fill(workspace)


def traces(page: Page) -> list[str]:
    """The traces that the list shows, from top to bottom."""
    return page.locator("#rows td.trace").all_inner_texts()


def rows(page: Page, count: int) -> None:
    expect(page.locator("#rows tbody tr")).to_have_count(count)


def test_feedback_that_an_sdk_sends_shows_by_itself(workspace: Workspace, visitor: Visit) -> None:
    import portkey_ai

    workspace.log(request_log("from-the-sdk"))
    somebody = visitor(workspace)
    somebody.context.clock.install()
    page = somebody.page_without_parts("/logs")
    rows(page, 1)
    expect(page.locator("td.count")).to_have_text("0")
    portkey = portkey_ai.Portkey(api_key=workspace.key, base_url=f"{workspace.system.url}/v1")
    portkey.feedback.create(trace_id="from-the-sdk", value=-7, weight=0.5)
    portkey.feedback.create(trace_id="from-the-sdk", value=3)
    stored = "SELECT count() FROM feedback.feedback WHERE workspace = {w:String}"
    until(lambda: workspace.system.count(stored, w=workspace.name) == 2, "the feedback is stored")
    somebody.skip_an_interval()
    expect(page.locator("td.count")).to_have_text("2")
    expect(page.locator("td.pairs .pair")).to_have_count(2)
    expect(page.locator("td.pairs")).to_contain_text("−7 : 0.5")
    expect(page.locator("td.pairs")).to_contain_text("value −7, weight 0.5")
    expect(page.locator("td.average")).to_have_text("−0.33")


def test_a_paused_list_stands_still(growing: Workspace, visitor: Visit) -> None:
    page = visitor(growing).page()
    page.clock.install()
    quiet(page, "/logs")
    page.keyboard.press("p")
    expect(page.locator("live-switch")).to_have_text("Paused")
    growing.log(request_log("later"))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(60_000)
    assert asked == []
    rows(page, 6)
    page.keyboard.press("p")
    page.clock.run_for(10_000)
    rows(page, 7)


def test_numbers_and_charts_renew_themselves_unless_somebody_uses_them(growing: Workspace, visitor: Visit) -> None:
    page = visitor(growing).page()
    page.clock.install()
    quiet(page, "/analytics")
    figure, legend = page.locator("#figures dd").first, page.locator("#charts .u-legend").last
    expect(figure).to_have_text("1")
    expect(legend).to_contain_text("Positive1")
    coverage = page.locator("#coverage")
    expect(coverage).to_contain_text("1 of 6 requests with feedback")
    page.locator("#charts time-chart").last.focus()
    growing.rate("trace-1", 4)
    page.clock.run_for(61_000)
    expect(figure).to_have_text("2")
    assert "of 6 requests" in coverage.inner_text(), "it stays until its own answer comes"
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(legend).to_contain_text("Positive1")
    page.locator("#search").focus()
    page.clock.run_for(61_000)
    expect(legend).to_contain_text("Positive2")


def test_a_filter_is_in_the_address_and_a_copied_address_shows_the_same(filled: Workspace, visitor: Visit) -> None:
    somebody = visitor(filled)
    page = somebody.page_with("facets", path="/logs?columns=trace&columns=model")
    everything = traces(page)
    assert len(everything) == 6
    model = page.locator("#facets").get_by_role("link", name=re.compile("claude-sonnet"))
    model.press("Enter")
    rows(page, 3)
    expect(model).to_be_focused()
    chosen = traces(page)
    assert chosen == [each for each in everything if int(each[-1]) % 2]
    page.reload()
    assert traces(page) == chosen
    colleague = visitor(filled)
    copied = colleague.page_without_parts("/logs?columns=trace&columns=model")
    copied.goto(page.url)
    assert traces(copied) == chosen
    page.go_back()
    rows(page, 6)
    assert traces(page) == everything
    page.go_forward()
    rows(page, 3)
    assert traces(page) == chosen


def test_of_two_clicks_the_second_counts(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_with("facets", path="/logs?columns=trace&columns=model")
    held: list[Route] = []
    page.route(re.compile("ai_model=gpt-4o"), lambda route: held.append(route))
    facets = page.locator("#facets")
    facets.get_by_role("link", name="gpt-4o").click()
    facets.get_by_role("link", name="claude-sonnet").click()
    rows(page, 3)
    expect(page).to_have_url(re.compile("ai_model=claude-sonnet"))
    assert len(held) == 1


def test_what_people_disliked_is_one_click_away(growing: Workspace, visitor: Visit) -> None:
    growing.rate("trace-1", -4)
    page = visitor(growing).page_without_parts("/logs?columns=trace&columns=model")
    for name, shown in (("Disliked", ["trace-1"]), ("Liked", ["trace-0"])):
        page.get_by_role("link", name=name, exact=True).click()
        rows(page, 1)
        expect(page.locator("#rows td.trace")).to_have_text(shown)
        expect(page.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "true")


def test_a_filter_that_is_wrong_is_named_and_the_page_stays(filled: Workspace, visitor: Visit) -> None:
    somebody = visitor(filled)
    somebody.expect("status of 400|cannot be parsed")
    page = somebody.page("/logs?cost_min=cheap")
    expect(page.get_by_role("alert")).to_contain_text("Cost in US cents at least must be a number")
    page.get_by_role("link", name="Clear all").click()
    rows(page, 6)


def test_the_columns_that_somebody_chose_are_remembered(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs?ai_model=gpt-4o")
    page.get_by_text("Columns").click()
    page.get_by_role("checkbox", name="Trace").check()
    page.get_by_role("checkbox", name="Prompt").uncheck()
    page.get_by_role("button", name="Show these").click()
    expect(page.get_by_role("columnheader", name="Trace")).to_be_visible()
    rows(page, 3)
    page.goto("/logs")
    rows(page, 6)
    assert page.get_by_role("columnheader", name="Prompt").count() == 0
    assert page.get_by_role("columnheader", name="Trace").count() == 1


def test_the_head_of_a_column_sorts_the_list_by_keyboard_and_a_line_sums_it_up(
    workspace: Workspace, visitor: Visit
) -> None:
    logs = [request_log(f"trace-{n}") for n in range(3)]
    for log, took in zip(logs, (300, 100, 200), strict=True):
        log["response"]["response_time"] = took
    workspace.log(*logs)
    workspace.rate("trace-1", 5)
    shown_columns = "columns=trace&columns=path&columns=latency&columns=count"
    page = visitor(workspace).page_with("summary", path=f"/logs?{shown_columns}&has_feedback=")
    expect(page.locator("#rows td.path").first).to_have_text("/v1/chat/completions")
    for told in ("Requests3", "p50200 ms", "Tokens60 20 each", "Feedback given1", "average+5.00"):
        expect(page.locator("#summary")).to_contain_text(told)
    head, shown = page.get_by_role("columnheader", name="Latency"), page.locator("#rows td.trace")
    head.get_by_role("link").focus()
    for direction, order in (("descending", "021"), ("ascending", "120")):
        page.keyboard.press("Enter")
        expect(shown).to_have_text([f"trace-{n}" for n in order])
        expect(head).to_have_attribute("aria-sort", direction)
        expect(head.get_by_role("link")).to_be_focused()
    page.reload()
    expect(shown).to_have_text(["trace-1", "trace-2", "trace-0"])
    page.get_by_role("link", name="Feedback Count").click()
    expect(shown.first).to_have_text("trace-1")
    page.get_by_role("link", name="Newest first").click()
    expect(page.locator("live-switch")).to_be_visible()
    expect(page).not_to_have_url(re.compile("sort="))


def test_the_drawer_opens_by_click_and_key_and_steps_through_the_list(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled, reduced_motion="no-preference").page_without_parts("/logs?columns=trace&columns=model")
    order = traces(page)
    name = page.locator("#drawer h1")
    page.locator("#rows tbody tr").nth(1).click()
    expect(name).to_have_text(order[1])
    expect(page).to_have_url(re.compile("open="))
    page.keyboard.press("j")
    expect(name).to_have_text(order[2])
    page.keyboard.press("k")
    expect(name).to_have_text(order[1])
    page.get_by_role("button", name="Previous").click()
    expect(name).to_have_text(order[0])
    page.reload()
    expect(name).to_have_text(order[0])
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    expect(page).not_to_have_url(re.compile("open="))


def test_the_keyboard_opens_the_drawer_and_comes_back_to_the_row(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs?columns=trace&columns=model")
    drawer, links = page.locator("#drawer"), page.locator("#rows a.open")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer).to_be_focused()
    for _ in range(2):
        page.keyboard.press("j")
    expect(drawer.locator("h1")).to_have_text(traces(page)[3])
    # The keys that scroll go on scrolling the trace, and Tab leads into it.
    expect(drawer).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(links.nth(3)).to_be_focused()
    page.keyboard.press("Enter")
    expect(drawer).to_be_visible()
    # Stepping makes no history, so that one step back closes what was opened.
    page.keyboard.press("k")
    expect(drawer.locator("h1")).to_have_text(traces(page)[2])
    page.go_back()
    expect(drawer).to_be_hidden()


def test_keys_lead_to_the_filters_and_to_help(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs")
    page.keyboard.press("/")
    expect(page.get_by_placeholder("Trace id")).to_be_focused()
    page.keyboard.type("trace-0?")
    expect(page.locator("#help")).to_be_hidden()
    page.get_by_placeholder("Trace id").fill("trace-3")
    page.keyboard.press("Enter")
    rows(page, 1)
    page.locator("#rows .scroll").press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_times_stay_in_the_viewers_zone_when_the_list_renews_itself(growing: Workspace, visitor: Visit) -> None:
    page = visitor(growing, timezone_id="Asia/Tokyo").page_without_parts()
    page.clock.install()
    quiet(page, "/logs")
    time = page.locator("#rows tbody tr").last.locator("local-time")
    shown = time.inner_text()
    assert shown not in (time.get_attribute("title") or "")
    growing.log(request_log("later"))
    page.clock.run_for(10_000)
    rows(page, 7)
    expect(page.locator("#rows tbody tr").last.locator("local-time")).to_have_text(shown)

"""A page is its address: whatever part of it changes the address, all other links and forms go on from there."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard_system import DashboardSystem, Workspace, request_log
from tests.browser.visitor import Visitor

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def filled(system: DashboardSystem) -> Workspace:
    """Three requests of two models and two plans, and feedback on each trace; to be looked at and not changed."""
    workspace = system.workspace()
    workspace.log(
        *(request_log(f"trace-{n}", model=("gpt-4o", "claude")[n % 2], plan=("pro", "free")[n % 2]) for n in range(3))
    )
    workspace.rate_all(*({"trace_id": f"trace-{n}", "value": n, "metadata": {"_user": f"user-{n}"}} for n in range(3)))
    return workspace


def query_of(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_a_choice_in_one_part_of_analytics_is_kept_by_every_other(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).quiet_page("/analytics?range=7d&sort=-n")
    groups, facets = page.locator("#groups"), page.locator("#facets")
    groups.get_by_role("link", name="User", exact=True).click()
    expect(page).to_have_url(re.compile("by=user"))
    groups.get_by_role("link", name="Newest").click()
    expect(page).to_have_url(re.compile("sort=-last_seen"))
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page).to_have_url(re.compile("against=ai_model"))
    chosen = {"by": ["user"], "sort": ["-last_seen"], "against": ["ai_model"]}

    facets.get_by_role("link", name=re.compile("gpt-4o")).click()
    expect(page).to_have_url(re.compile("ai_model=gpt-4o"))
    assert query_of(page) == {"range": ["7d"], "ai_model": ["gpt-4o"], **chosen}
    expect(groups.get_by_role("link", name="User", exact=True).first).to_have_attribute("aria-current", "true")

    # Chosen in a part, then a form beside it, then a pill, and a copied link.
    groups.get_by_role("link", name="Model", exact=True).first.click()
    expect(page).to_have_url(re.compile("by=ai_model"))
    page.get_by_label("Time range").select_option("30d")
    expect(page).to_have_url(re.compile("range=30d"))
    assert query_of(page) == {"range": ["30d"], "ai_model": ["gpt-4o"], **chosen, "by": ["ai_model"]}
    groups.get_by_role("link", name="User", exact=True).first.click()
    expect(page).to_have_url(re.compile("by=user"))
    pill = page.get_by_title("Remove this filter")
    assert parse_qs(urlsplit(pill.get_attribute("href") or "").query) == {"range": ["30d"], **chosen}
    pill.click()
    expect(page).not_to_have_url(re.compile("gpt-4o"))
    assert query_of(page) == {"range": ["30d"], **chosen}
    page.go_back()
    expect(page).to_have_url(re.compile("gpt-4o"))
    expect(pill).to_have_count(1)


def test_a_filter_leads_to_the_first_page_and_closes_what_is_open(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_with("facets", path="/logs")
    page.locator("#rows tbody tr").first.click()
    expect(page.locator("#drawer")).to_be_visible()
    link = page.locator("#facets").get_by_role("link", name=re.compile("claude"))
    assert parse_qs(urlsplit(link.get_attribute("href") or "").query) == {"ai_model": ["claude"]}


def test_what_is_open_stays_beside_the_page_of_the_list_that_it_was_opened_on(
    filled: Workspace, visitor: Visit
) -> None:
    first = filled.call("GET", "/v1/logs", page_size="1").json()["next_cursor"]
    page = visitor(filled).page_without_parts(f"/logs?cursor={first}")
    expect(page.locator("#rows tbody tr")).to_have_count(2)
    page.locator("#rows tbody tr").first.click()
    expect(page).to_have_url(re.compile("open="))
    assert query_of(page)["cursor"] == [first]
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("open="))
    assert query_of(page) == {"cursor": [first]}


def test_a_range_takes_the_place_of_a_time_that_was_chosen(filled: Workspace, visitor: Visit) -> None:
    times = "time_of_generation_min=2020-01-01T00:00:00Z&time_of_generation_max=2020-01-02T00:00:00Z"
    page = visitor(filled).page_without_parts(f"/logs?{times}")
    expect(page.locator("#rows .empty")).to_be_visible()
    page.get_by_label("Time range").select_option("24h")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    expect(page.get_by_label("Time range")).to_have_value("24h")
    assert query_of(page) == {"range": ["24h"]}


def test_a_time_is_typed_in_the_viewers_zone_and_kept_to_the_millisecond(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled, timezone_id="Asia/Tokyo").page_without_parts("/logs")
    page.get_by_label("Time range").select_option("other")
    since, until = (page.get_by_label(each, exact=True) for each in ("From", "Until"))
    expect(since).to_be_focused()
    since.fill("2026-01-02T08:30")
    until.fill("2026-01-03T09:00")
    until.press("Enter")
    expect(page).to_have_url(re.compile("time_of_generation_max"))
    typed = {
        "time_of_generation_min": ["2026-01-01T23:30:00.000Z"],
        "time_of_generation_max": ["2026-01-03T00:00:00.000Z"],
    }
    assert query_of(page) == typed
    expect(page.locator(".chosen")).to_contain_text("2 Jan, 08:30")
    page.goto("/logs?time_of_generation_min=2026-01-01T00:00:00.123Z")
    expect(since).to_have_value("2026-01-01T09:00")
    page.locator("select[name=has_feedback]").select_option("true")
    expect(page).to_have_url(re.compile("has_feedback"))
    assert query_of(page)["time_of_generation_min"] == ["2026-01-01T00:00:00.123Z"]
    page.locator(".chosen").get_by_text("From").click()
    expect(page).not_to_have_url(re.compile("time_of_generation"))


@pytest.mark.parametrize("path", ["/logs", "/feedback", "/analytics", "/requests"])
def test_times_the_wrong_way_round_are_told_in_words_and_can_be_swapped(
    filled: Workspace, visitor: Visit, path: str
) -> None:
    somebody = visitor(filled)
    somebody.expect("status of 400")
    page, asked = somebody.page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{path}?time_of_generation_min=2026-01-02T00:00:00Z&time_of_generation_max=2026-01-01T00:00:00Z")
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("From is later than Until")
    expect(page.locator("main")).not_to_contain_text("time_of_generation")
    page.wait_for_load_state("networkidle")
    assert not [each for each in asked if "time_of_generation" in each and f"{path}?" not in each]
    page.get_by_role("link", name="Swap them").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert query_of(page)["time_of_generation_min"] == ["2026-01-01T00:00:00Z"]


def test_a_time_that_is_typed_the_wrong_way_round_is_not_sent(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs")
    page.get_by_label("Time range").select_option("other")
    since, until = (page.get_by_label(each, exact=True) for each in ("From", "Until"))
    since.fill("2026-01-02T08:30")
    until.fill("2026-01-02T08:30")
    until.press("Enter")
    assert until.evaluate("field => field.validationMessage") == "Until must be later than From"
    assert query_of(page) == {}
    # What is not applied stands in the way of nothing else.
    page.keyboard.press("Escape")
    expect(page.locator("#more-filters > summary")).to_be_focused()
    page.get_by_label("Time range").select_option("7d")
    expect(page).to_have_url(re.compile("range=7d"))


def test_a_time_of_another_year_says_its_year(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs?time_of_generation_min=2019-12-01T00:00:00Z")
    expect(page.locator(".chosen")).to_contain_text("1 Dec 2019, 01:00")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    expect(page.locator("#rows tbody")).not_to_contain_text(re.compile(r"\d{4}, "))
    page.goto("/logs?time_of_generation_max=2019-12-01T00:00:00Z")
    expect(page.locator("#rows .empty")).to_be_visible()


def test_a_key_of_metadata_is_a_facet_and_a_filter(filled: Workspace, visitor: Visit) -> None:
    somebody = visitor(filled)
    page = somebody.page_with("facets", "figures", "charts", path="/logs")
    rows, facets = page.locator("#rows tbody tr"), page.locator("#facets")
    facets.get_by_text("Metadata", exact=True).press("Enter")
    facets.get_by_role("link", name=re.compile("^plan")).press("Enter")
    expect(page).to_have_url(re.compile("key=plan"))
    expect(facets.get_by_role("link", name=re.compile("pro *2"))).to_be_visible()
    expect(facets).to_contain_text("3 requests")
    expect(rows).to_have_count(3)
    facets.get_by_role("link", name=re.compile("free *1")).press("Enter")
    expect(rows).to_have_count(1)
    # The other value is still there to choose.
    expect(facets.get_by_role("link", name=re.compile("pro *2"))).to_be_visible()
    page.reload()
    expect(rows).to_have_count(1)
    copied = somebody.page_without_parts(page.url)
    expect(copied.locator("#rows tbody tr")).to_have_count(1)
    copied.get_by_title("Remove this filter").click()
    expect(copied.locator("#rows tbody tr")).to_have_count(3)
    page.go_back()
    expect(rows).to_have_count(3)
    facets.get_by_label("Value of plan").fill("pro")
    facets.get_by_label("Value of plan").press("Enter")
    expect(rows).to_have_count(2)
    page.goto(page.url.replace("/logs", "/feedback"))
    expect(rows).to_have_count(2)
    for path, part in (("/analytics", "#figures"), ("/requests", "#charts")):
        page.goto(f"{path}?key=plan")
        expect(page.locator(f"{part} dd").first).to_have_text("3")
        facets.get_by_role("link", name=re.compile("pro *2")).click()
        expect(page.locator(f"{part} dd").first).to_have_text("2")
        assert query_of(page)["meta.plan"] == ["pro"]


def test_the_focus_stays_on_a_facet_whose_count_changes(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("one"), request_log("two", model="gpt-4o-mini"))
    page = visitor(workspace).page_with("facets", path="/logs")
    facet = page.locator("#facets a").filter(has_text=re.compile("gpt-4o-mini"))
    expect(facet).to_contain_text("1")
    facet.focus()
    workspace.log(request_log("three", model="gpt-4o-mini"))
    page.keyboard.press("Enter")
    expect(facet).to_contain_text("2")
    expect(facet).to_be_focused()
    expect(facet).to_have_attribute("aria-current", "true")


def test_every_filter_of_the_api_can_be_set_from_the_page(filled: Workspace, visitor: Visit) -> None:
    document = filled.call("GET", "/openapi.json").json()
    told = {each["name"] for each in document["paths"]["/v1/logs"]["get"]["parameters"]}
    # Times are chosen by the range and by dragging, metadata by key and value, the order by the heads of columns; the
    # key says which workspace.
    told -= {"time_of_generation_min", "time_of_generation_max", "metadata", "workspace_slug", "page_size", "cursor"}
    told -= {"order_by", "order_by_type"}
    page = visitor(filled).page_without_parts("/logs")
    names = page.locator("#filters").evaluate("form => [...form.elements].map((each) => each.name)")
    assert told <= set(names)
    model = page.locator("#filters").get_by_label("Model", exact=True)
    page.get_by_text("More filters").click()
    model.fill("claude")
    page.get_by_label("Tokens in, at least").fill("7")
    page.get_by_label("Tokens in, at least").press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert query_of(page)["ai_model"] == ["claude"]
    # Sent again, the form keeps what is set, and adds what is typed.
    page.get_by_text("More filters").click()
    model.fill("gpt-4o")
    model.press("Enter")
    expect(page.locator("#rows tbody tr")).to_have_count(3)
    page.get_by_label("Time range").select_option("7d")
    expect(page).to_have_url(re.compile("range=7d"))
    assert sorted(query_of(page)["ai_model"]) == ["claude", "gpt-4o"]


def test_a_view_that_was_saved_brings_filters_and_columns_back(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts("/logs?ai_model=claude&columns=trace&columns=model")
    views, rows = page.get_by_text("Views", exact=True), page.locator("#rows tbody tr")
    views.press("Enter")
    page.get_by_label("Name of this view").fill("Claude <b>alone</b>")
    page.get_by_label("Name of this view").press("Enter")
    page.goto("/logs?columns=time&columns=user")
    expect(rows).to_have_count(3)
    views.press("Enter")
    page.get_by_role("link", name="Claude <b>alone</b>").press("Enter")
    expect(rows).to_have_count(1)
    assert query_of(page) == {"ai_model": ["claude"]}
    heads = page.locator("#rows th").all_inner_texts()
    assert [head.strip("\n▲▼") for head in heads] == ["Time", "Trace", "Model"]
    views.press("Enter")
    page.get_by_role("button", name="Forget Claude").press("Enter")
    page.reload()
    views.press("Enter")
    expect(page.get_by_label("Name of this view")).to_be_visible()
    assert page.locator("saved-views li").count() == 0


def test_each_page_has_views_of_its_own(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).page_without_parts()
    for path, chosen in (("/feedback", {"user": ["user-1"], "order": ["worst"]}), ("/requests", {"sort": ["cost"]})):
        page.goto(f"{path}?{urlencode(chosen, doseq=True)}")
        page.get_by_text("Views", exact=True).press("Enter")
        page.get_by_label("Name of this view").fill(f"Mine of {path}")
        page.get_by_label("Name of this view").press("Enter")
        page.goto(path)
        page.get_by_text("Views", exact=True).press("Enter")
        assert page.locator("saved-views li a").all_inner_texts() == [f"Mine of {path}"]
        page.locator("saved-views li a").press("Enter")
        expect(page).to_have_url(re.compile(r"\?"))
        assert query_of(page) == chosen


def test_another_page_is_opened_with_the_time_and_the_subject_of_this_one(filled: Workspace, visitor: Visit) -> None:
    page = visitor(filled).quiet_page("/logs?range=7d&status_code=200&meta.plan=pro&columns=model")
    pages = page.get_by_role("navigation", name="Pages")
    page.locator("#facets").get_by_role("link", name=re.compile("gpt-4o")).click()
    expect(page).to_have_url(re.compile("ai_model=gpt-4o"))

    pages.get_by_role("link", name="Analytics").click()
    expect(page).to_have_url(re.compile("/analytics"))
    carried = {"range": ["7d"], "meta.plan": ["pro"], "ai_model": ["gpt-4o"]}
    assert query_of(page) == carried
    pages.get_by_role("link", name="Feedback").click()
    expect(page).to_have_url(re.compile("/feedback"))
    assert query_of(page) == carried
    expect(pages.get_by_role("link", name="Feedback")).to_have_attribute("href", "/feedback")

    pages.get_by_role("link", name="Requests").click()
    expect(page).to_have_url(re.compile("/requests"))
    page.get_by_label("Time range").select_option("30d")
    expect(page).to_have_url(re.compile("range=30d"))
    pages.get_by_role("link", name="Logs").click()
    expect(page).to_have_url(re.compile("/logs"))
    assert query_of(page) == carried | {"range": ["30d"]}
    page.get_by_role("link", name="Feedback API").click()
    expect(page).to_have_url(re.compile("/logs$"))

"""Pages with a little on them fit every window as those of `test_every_page.py` do, and menus open inside of it."""

import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser import layout
from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.furnished import addresses
from tests.browser.test_every_page import SIZES
from tests.browser.visitor import Visitor, whole

Visit = Callable[..., Visitor]


def test_pages_with_a_little_fit(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("only-one", _user="ada", _prompt="greet"))
    workspace.rate("only-one", -4, 0.5, comment="The link in the answer is dead.")
    page, pages, found = visitor(workspace).page(), addresses("only-one"), {}
    for name in ("logs", "feedback with a trace", "trace", "analytics", "requests"):
        whole(page, pages[name])
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            found[f"{name}, {width}"] = layout.faults(page)
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_menus_open_inside_the_window(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page_without_parts()
    for path, menus in (("/logs?range=7d", ("More filters", "Columns")), ("/requests", ("More filters", "Views"))):
        page.goto(path)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            for name in menus:
                menu = page.locator("details.menu").filter(has_text=name).first
                menu.locator("summary").click()
                box = menu.locator(".sheet").bounding_box()
                assert box is not None
                assert 0 <= box["x"] <= width - box["width"], (path, name, width)
                menu.locator("summary").click()


def test_what_is_looked_for_in_a_table_is_seen_in_a_narrow_window(furnished: Workspace, visitor: Visit) -> None:
    somebody = visitor(furnished, viewport={"width": 360, "height": 740})
    page = somebody.page_with("groups", path="/analytics?range=7d&by=organisation&sort=weighted_mean")
    average = page.locator("#groups tbody .mean").first
    expect(average).to_be_visible()
    average.scroll_into_view_if_needed()
    page.locator("#groups .scroll").evaluate("region => { region.scrollLeft = 0; }")
    box = average.bounding_box()
    assert box
    assert box["x"] + box["width"] <= 348


def test_the_file_of_an_export_is_seen_in_a_narrow_window(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("exported"))
    page = visitor(workspace, viewport={"width": 360, "height": 740}).page_with(path="/logs")
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="Make a file").click()
    file = page.get_by_role("link", name="Download")
    expect(file).to_be_visible()
    box = file.bounding_box()
    assert box
    assert box["x"] + box["width"] <= 348


def test_the_question_before_a_key_is_revoked_is_seen_in_a_narrow_window(workspace: Workspace, visitor: Visit) -> None:
    page = visitor(workspace, viewport={"width": 360, "height": 740}).page("/keys")
    page.locator(".keys-table summary").click()
    expect(page.get_by_role("button", name="Revoke for good")).to_be_in_viewport()


def test_no_number_of_the_tables_of_requests_is_cut_off(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page()
    whole(page, "/requests?range=7d")
    tables = page.locator(".group-tables .scroll")
    expect(tables).to_have_count(2)
    for width in (1280, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert tables.evaluate_all("all => all.map(each => each.scrollWidth - each.clientWidth)") == [0, 0], width

"""No page is wider than the window, from a small telephone to a wall, and none of its text is cut or covered."""

import json
from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser import layout
from tests.browser.dashboard_system import Workspace, request_log
from tests.browser.furnished import addresses, empty_addresses, trace_of
from tests.browser.visitor import Visitor, whole

Visit = Callable[..., Visitor]
SIZES = ((320, 640), (360, 740), (768, 1024), (1440, 900), (2560, 1440), (3840, 2160))


def looked_through(page: Page, pages: dict[str, str]) -> dict[str, list[str]]:
    """What is wrong with each page at each size."""
    found = {}
    for name, address in pages.items():
        whole(page, address)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            if told := layout.faults(page):
                found[f"{name}, {width}"] = told
    return found


def test_pages_with_a_lot_fit(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page()
    found = looked_through(page, addresses(trace_of(furnished)))
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def test_pages_with_nothing_fit_and_those_that_tell_of_an_error(workspace: Workspace, visitor: Visit) -> None:
    somebody = visitor(workspace)
    somebody.expect("status of 40[04]|cannot be parsed")
    found = looked_through(somebody.page(), empty_addresses())
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def test_pages_with_a_little_fit(workspace: Workspace, visitor: Visit) -> None:
    workspace.log(request_log("only-one", _user="ada", _prompt="greet"))
    workspace.rate("only-one", -4, 0.5, comment="The link in the answer is dead.")
    pages = addresses("only-one")
    names = ("logs", "feedback with a trace", "trace", "analytics", "requests")
    found = looked_through(visitor(workspace).page(), {name: pages[name] for name in names})
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def test_menus_open_inside_the_window(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page("/logs?range=7d")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for name in ("More filters", "Columns"):
            menu = page.locator("details.menu").filter(has_text=name).first
            menu.locator("summary").click()
            box = menu.locator(".sheet").bounding_box()
            assert box is not None
            assert 0 <= box["x"] <= width - box["width"], (name, width)
            menu.locator("summary").click()

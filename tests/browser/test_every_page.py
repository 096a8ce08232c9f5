"""Every page fits every window, is reached by the keyboard alone, and has no fault that axe knows.

Each page is visited once, for all of it: to load a page costs more than to look at it.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import axe, keyboard, layout
from tests.browser.dashboard_system import DashboardSystem, Workspace
from tests.browser.furnished import addresses, empty_addresses, trace_of
from tests.browser.visitor import HEIGHT, WIDTH, Visitor, whole

SIZES = ((320, 640), (768, 1024), (1440, 900), (2560, 1440), (3840, 2160))
WITH_TAB = ("logs", "feedback with a trace", "trace", "analytics", "requests", "pipeline", "keys")
MOST_ALIKE = 3
_TRIM = """most => document.querySelectorAll("tbody, .facets ul")
  .forEach(all => [...all.children].slice(most).forEach(each => each.remove()))"""


@dataclass
class Faults:
    """What is wrong with pages, by their names."""

    layout: dict[str, list[str]] = field(default_factory=dict)
    keyboard: dict[str, list[str]] = field(default_factory=dict)
    axe: dict[str, list[str]] = field(default_factory=dict)

    def look(self, page: Page, name: str, *, with_tab: bool = False) -> None:
        """Note what is wrong with a page as it stands, which is changed by that."""
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            self.layout[f"{name}, {width}"] = layout.faults(page)
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        # Of rows that are alike a few are enough: axe and Tab take long over each.
        page.evaluate(_TRIM, MOST_ALIKE)
        if with_tab:
            self.keyboard[name] = keyboard.faults(page)
            # The link that skips to the content covers the brand as long as it has the focus.
            page.evaluate("document.activeElement.blur()")
        self.axe[name] = axe.faults(page)


def look(visitor: Visitor, pages: dict[str, str], with_tab: Collection[str] = ()) -> tuple[Faults, Page]:
    """The faults of all these pages, and the last of them."""
    # An answer of a live list would take the marks of the keyboard away.
    visitor.context.add_init_script("if (location.origin !== 'null') sessionStorage.setItem('paused', 'yes')")
    page, found = visitor.page(), Faults()
    for name, address in pages.items():
        whole(page, address)
        found.look(page, name, with_tab=name in with_tab)
    return found, page


@pytest.fixture(scope="module")
def full(browser: Browser, system: DashboardSystem, furnished: Workspace) -> Faults:
    """Of pages with a lot on them, and of the help."""
    somebody = Visitor(browser, system.url, furnished.key)
    found, page = look(somebody, addresses(trace_of(furnished)), WITH_TAB)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    found.axe["help"] = axe.faults(page)
    somebody.close()
    return found


@pytest.fixture(scope="module")
def empty(browser: Browser, system: DashboardSystem) -> Faults:
    """Of pages with nothing on them, and of those that tell of an error."""
    somebody = Visitor(browser, system.url, system.workspace().key)
    somebody.expect("status of 40[034]|cannot be parsed")
    found, _ = look(somebody, empty_addresses())
    somebody.close()
    return found


def none_of(found: dict[str, list[str]]) -> None:
    assert found, "nothing was looked at"
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_pages_with_a_lot_fit(full: Faults) -> None:
    none_of(full.layout)


def test_tab_leads_to_everything_and_shows_where_it_is(full: Faults) -> None:
    none_of(full.keyboard)


def test_no_page_with_a_lot_on_it_has_a_fault_that_axe_knows(full: Faults) -> None:
    none_of(full.axe)


def test_pages_with_nothing_fit_and_those_that_tell_of_an_error(empty: Faults) -> None:
    none_of(empty.layout)


def test_no_empty_page_and_no_page_that_tells_of_an_error_has_a_fault_that_axe_knows(empty: Faults) -> None:
    none_of(empty.axe)

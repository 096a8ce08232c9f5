"""Every page can be used by everybody: WCAG 2.2 AA as far as axe can tell, and all of it by the keyboard alone."""

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.dashboard_system import Workspace
from tests.browser.furnished import addresses, empty_addresses, trace_of
from tests.browser.visitor import Visitor, whole

Visit = Callable[..., Visitor]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules whose answer the theme may change."""
STILL = {"reduced_motion": "reduce"}
"""What fades in has the contrast of neither end."""
MOST_ALIKE = 6


def faults(page: Page) -> list[str]:
    """What axe finds, in light and in dark. Of rows that are alike it sees a few: it takes long over each."""
    page.evaluate(
        "most => document.querySelectorAll('tbody, .facets ul')"
        ".forEach(each => [...each.children].slice(most).forEach(row => row.remove()))",
        MOST_ALIKE,
    )
    page.evaluate(Axe().axe_script)
    found: list[str] = []
    for theme, rules in (("light", RULES), ("dark", OF_COLOURS)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        answer = page.evaluate("options => axe.run(options)", {"runOnly": rules, "resultTypes": ["violations"]})
        assert answer["passes"], "axe has looked at nothing"
        found += [f"{theme}: {each['id']}: {_place(node)}" for each in answer["violations"] for node in each["nodes"]]
    return found


def _place(node: dict[str, Any]) -> str:
    return f"{json.dumps(node['target'], ensure_ascii=False)} {node['failureSummary']}"


def test_no_page_with_a_lot_on_it_has_a_fault_that_axe_knows(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished, **STILL).page()
    found = {}
    for name, address in addresses(trace_of(furnished)).items():
        whole(page, address)
        found[name] = faults(page)
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


def test_no_empty_page_and_no_page_that_tells_of_an_error_has_a_fault_that_axe_knows(
    workspace: Workspace, visitor: Visit
) -> None:
    somebody = visitor(workspace, **STILL)
    somebody.expect("status of 40[034]|cannot be parsed")
    page = somebody.page()
    found = {}
    for name, address in empty_addresses().items():
        whole(page, address)
        found[name] = faults(page)
    page.keyboard.press("?")
    found["help"] = faults(page)
    assert not any(found.values()), json.dumps(found, indent=1, ensure_ascii=False)


# What the viewer has opened may lie over what has the focus: Escape reveals it.
WHERE_AM_I = """() => {
  const now = document.activeElement;
  if (now === document.body || now.dataset.seen) return null;
  now.dataset.seen = "yes";
  const { outlineStyle, outlineWidth } = getComputedStyle(now), box = now.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + Math.min(box.width / 2, 40), box.y + Math.min(box.height / 2, 12));
  return { what: now.outerHTML.slice(0, 120), isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
    isCovered: !(top && (now.contains(top) || top.contains(now) || top.closest("#drawer"))) };
}"""
UNREACHED = """() => {
  const isShown = each => each.checkVisibility({ visibilityProperty: true }) && each.getBoundingClientRect().width > 1;
  const alone = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
    .filter(each => isShown(each) && !each.disabled && !each.dataset.seen);
  const byMouse = [...document.querySelectorAll("body *")].filter(each => isShown(each)
    && ["pointer", "crosshair"].includes(getComputedStyle(each).cursor)
    && !each.closest("a[href], button, label, summary, select, [data-seen]"));
  return [...alone, ...byMouse].map(each => each.outerHTML.slice(0, 120));
}"""
"""What is there for the mouse and was never focused."""


def test_tab_leads_to_everything_and_shows_where_it_is(furnished: Workspace, visitor: Visit) -> None:
    somebody = visitor(furnished, **STILL)
    page = somebody.page("/logs")
    page.keyboard.press("p")  # an answer of the live list would take the marks away
    pages = addresses(trace_of(furnished))
    for name in ("logs", "feedback with a trace", "trace", "analytics", "requests", "pipeline", "keys"):
        whole(page, pages[name])
        seen = []
        while True:
            page.keyboard.press("Tab")
            if (place := page.evaluate(WHERE_AM_I)) is None:
                break
            seen.append(place)
        assert not [each for each in seen if not each["isMarked"] or each["isCovered"]], name
        assert page.evaluate(UNREACHED) == [], name


def chosen_days(page: Page) -> float:
    """How long the time is that the address asks for."""
    expect(page).to_have_url(re.compile("time_of_generation_max"))
    asked = dict(parse_qsl(urlsplit(page.url).query))
    since, until = (datetime.fromisoformat(asked[f"time_of_generation_{end}"]) for end in ("min", "max"))
    return (until - since) / timedelta(days=1)


def test_a_time_on_a_chart_is_chosen_by_keys_and_by_a_click(furnished: Workspace, visitor: Visit) -> None:
    page = visitor(furnished).page()
    whole(page, "/logs?range=7d")
    page.locator("time-chart").focus()
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#news")).to_contain_text(re.compile(r"Requests \d+, Feedback \d+"))
    page.keyboard.press("Enter")
    assert chosen_days(page) == 2
    whole(page, "/logs?range=7d")
    page.locator("time-chart .u-over").click()
    assert chosen_days(page) == 1

"""What axe finds on a page: WCAG 2.2 AA as far as a machine can tell."""

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"resultTypes": ["violations"], "preload": False}
"""No rule above reads a style sheet, and the pages' policy lets no sound or film be loaded: none is fetched again."""
_OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""Rules whose answer the theme may change."""


def faults(page: Page) -> list[str]:
    """Those of a page as it stands, in light and in dark. Where a trace is open beside a list, colours are looked at in
    the trace alone: those of the list are the same without it."""
    page.evaluate(Axe().axe_script)
    colours, everything = {"runOnly": _OF_COLOURS}, {"runOnly": RULES}
    if page.locator("#drawer:visible").count():
        others = everything | {"rules": {each: {"enabled": False} for each in _OF_COLOURS}}
        found = _found(page, "html", others) + _found(page, "#drawer", colours)
        place = "#drawer"
    else:
        found, place = _found(page, "html", everything), "html"
    found = [f"light: {each}" for each in found]
    page.emulate_media(color_scheme="dark")
    found += [f"dark: {each}" for each in _found(page, place, colours)]
    page.emulate_media(color_scheme="light")
    return found


def _found(page: Page, place: str, rules: dict[str, Any]) -> list[str]:
    answer = page.evaluate("([place, options]) => axe.run(place, options)", [place, {**OPTIONS, **rules}])
    assert answer["passes"], "axe has looked at nothing"
    return [f"{each['id']}: {_place(node)}" for each in answer["violations"] for node in each["nodes"]]


def _place(node: dict[str, Any]) -> str:
    return f"{json.dumps(node['target'], ensure_ascii=False)} {node['failureSummary']}"

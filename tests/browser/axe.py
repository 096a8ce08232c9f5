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
    """Those of a page as it stands, in light and in dark."""
    page.evaluate(Axe().axe_script)
    found: list[str] = []
    for theme, rules in (("light", RULES), ("dark", _OF_COLOURS)):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        answer = page.evaluate("options => axe.run(options)", {**OPTIONS, "runOnly": rules})
        assert answer["passes"], "axe has looked at nothing"
        found += [f"{theme}: {each['id']}: {_place(node)}" for each in answer["violations"] for node in each["nodes"]]
    page.emulate_media(color_scheme="light")
    return found


def _place(node: dict[str, Any]) -> str:
    return f"{json.dumps(node['target'], ensure_ascii=False)} {node['failureSummary']}"

"""What a viewer of the dashboard waits for on each page: the first useful paint, and a change of a filter."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field

from playwright.sync_api import Page, sync_playwright

PAGES = {
    "/logs": "#rows tbody tr",
    "/feedback": "#rows tbody tr",
    "/analytics": "#figures .tiles",
    "/requests": "#charts .number-cards",
}
"""What is useful on each page."""
MOST_PAINT_MS, MOST_CHANGE_MS = 1000, 400
_RANGE = "?range=7d"
_FACETS = "#facets ul a"
# Milliseconds until what is useful has been painted: since the page was asked for; or, as another element, since a
# click on a value to filter by.
_PAINTED = """([useful, values, which]) => new Promise((tell, fail) => {
  const before = values && document.querySelector(useful), began = values ? performance.now() : 0;
  const isThere = () => { const now = document.querySelector(useful); return now && now !== before; };
  const look = () => requestAnimationFrame(isThere() ? () => tell(performance.now() - began) : look);
  const all = document.querySelectorAll(values || "body");
  if (values) all[which % all.length].click();
  setTimeout(() => fail(new Error(`nothing of ${useful} was painted`)), 60_000);
  look();
})"""


@dataclass
class PageTimes:
    """Milliseconds of one page, a number a visit."""

    paint: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)


def page_times(url: str, rounds: int) -> Mapping[str, PageTimes]:
    """Each page visited so often, after a first visit that is not counted, and each time with another filter."""
    found = {path: PageTimes() for path in PAGES}
    with sync_playwright() as playwright:
        options = {"executable_path": chromium(), "args": ["--no-sandbox"] if os.geteuid() == 0 else []}
        browser = playwright.chromium.launch(**options)  # type: ignore[arg-type]
        page = browser.new_page(base_url=url)
        for visit in range(rounds + 1):
            for path, times in found.items():
                paint, change = _visit(page, path, visit)
                if visit:
                    times.paint.append(paint)
                    times.change.append(change)
        browser.close()
    return found


def chromium() -> str | None:
    """The distribution's Chromium, if there is one."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def _visit(page: Page, path: str, visit: int) -> tuple[float, float]:
    useful = f"{PAGES[path]}, .empty"
    page.goto(path + _RANGE, wait_until="commit")
    paint: float = page.evaluate(_PAINTED, [useful, None, 0])
    page.wait_for_selector(_FACETS)
    page.wait_for_load_state("networkidle")
    change: float = page.evaluate(_PAINTED, [useful, _FACETS, visit])
    return paint, change

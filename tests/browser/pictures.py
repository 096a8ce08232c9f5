"""Takes the pictures of the documents anew: `python -m tests.browser.pictures [FOLDER]`.

A system is started, filled with the week of `feedback demo`, looked at in Chromium in light and dark, and stopped. The
week is always that of seed 1 and ends now, so that pictures differ in their times and in little else.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from operations.command_options import ROLLUP_GROUP
from operations.connections import CommandError
from operations.consumer_groups import require_members
from tests.browser.chromium import launch_options
from tests.pipeline.engines import REPOSITORY, Engines, embedded, until
from tests.pipeline.running import Pipeline

FOLDER = REPOSITORY / "docs/images"
WIDTH, HEIGHT = 1280, 760
MOST_BYTES = 200_000
PAGES = {"logs": "/logs?range=7d", "analytics": "/analytics?range=7d"}
"""What is shown, by the name of its picture."""


def main(folder: Path) -> int:
    """Take all of them; 1 where one is too large."""
    with filled() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        taken = [
            take(browser, url, name, scheme, folder) for name in PAGES for scheme in ("light", "dark")
        ]  # fmt: skip
        browser.close()
    for path in taken:
        print(f"{path.stat().st_size:>8,} bytes  {path}")
    return int(any(path.stat().st_size > MOST_BYTES for path in taken))


@contextmanager
def filled() -> Iterator[str]:
    """A running system with the week; where it is."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        with embedded(folder) as engines:
            engines.prepare()
            with Pipeline(engines, folder) as pipeline, pipeline.rollup():
                until(lambda: rolls_up(engines), "hours and days are computed")
                command = [sys.executable, "-m", "deploy.cli", "demo"]
                subprocess.run(command, env=os.environ | engines.environment, cwd=REPOSITORY, check=True, timeout=600)
                yield pipeline.url


def rolls_up(engines: Engines) -> bool:
    """Whether the program that keeps hours and days is at work."""
    try:
        require_members(engines.kafka, ROLLUP_GROUP)
    except CommandError:
        return False
    return True


def take(browser: Browser, url: str, name: str, scheme: Literal["light", "dark"], folder: Path) -> Path:
    """One picture: its name, and that of the scheme where it is dark."""
    context = browser.new_context(
        base_url=url,
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    page = context.new_page()
    show(page, PAGES[name])
    path = folder / f"{name}{'-dark' if scheme == 'dark' else ''}.png"
    page.screenshot(path=path)
    context.close()
    return path


def show(page: Page, path: str) -> None:
    """Go there, and wait until every part has come."""
    page.goto(path)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("!document.querySelector('[aria-busy=true]') && document.fonts.status === 'loaded'")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))

"""What is wrong with how a page is laid out: it scrolls sideways, or text is cut or lies over other text."""

from pathlib import Path

from playwright.sync_api import Page

_FAULTS = Path(__file__).with_suffix(".js").read_text().partition("\n")[2]


def faults(page: Page) -> list[str]:
    """Those of a page as it stands; where a trace is open beside a list, of that trace."""
    root = "#drawer" if page.locator("#drawer:visible").count() else "body"
    found: list[str] = page.evaluate(_FAULTS, root)
    return found

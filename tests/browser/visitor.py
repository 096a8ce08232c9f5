"""Somebody with a browser of their own who looks at the dashboard, and all that goes wrong meanwhile."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

from runtime.request_headers import SESSION_COOKIE

WIDTH, HEIGHT = 1440, 900
PATIENCE_MS = 60_000
"""Long, for machines that stall."""
_INTERVAL_MS = 5_000
_USUAL = {
    "viewport": {"width": WIDTH, "height": HEIGHT}, "timezone_id": "Europe/Berlin",
    # To draw what moves takes a quarter of the CPU of a visit; and what fades in has the contrast of neither end.
    "reduced_motion": "reduce",
}  # fmt: skip
_TELL_BREACHES = """document.addEventListener("securitypolicyviolation",
  event => console.error("the policy forbids", event.violatedDirective, event.blockedURI));"""

_COME_ALONE = """document.addEventListener("htmx:before:request", event => {
  const { sourceElement } = event.detail.ctx;
  if (sourceElement.matches("[hx-trigger$=', every 5s']") && !%s.includes(sourceElement.id)) event.preventDefault();
});"""
_IS_WHOLE = """() => document.readyState === "complete" && !document.querySelector("[hx-trigger^='load']")"""


class Visitor:
    """Cookies, storage and pages of one browser profile. `close` insists that nothing has gone wrong."""

    def __init__(self, browser: Browser, url: str, key: str = "", **options: Any) -> None:
        options = {**_USUAL, **options}
        self.context: BrowserContext = browser.new_context(base_url=url, locale="en-GB", **options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_TELL_BREACHES)
        self.context.on("console", self._hear)
        self.context.on("weberror", lambda error: self.troubles.append(f"exception: {error.error}"))
        self.context.on("dialog", self._refuse)
        self.context.on("request", self._watch)
        self.origin = urlsplit(url).netloc
        self.troubles: list[str] = []
        self.expected: list[str] = []
        if key:
            self.context.add_cookies(
                [{"name": SESSION_COOKIE, "value": key, "url": url, "httpOnly": True, "sameSite": "Lax"}]
            )

    def page(self, path: str = "") -> Page:
        """A new page, at a path of the server."""
        page = self.context.new_page()
        if path:
            page.goto(path)
        return page

    def page_under_way(self, path: str) -> Page:
        """A new page that has set out for a path: whoever asks for something on it waits for its coming."""
        page = self.context.new_page()
        page.evaluate("address => void setTimeout(() => location.assign(address))", f"http://{self.origin}{path}")
        return page

    def quiet_page(self, path: str) -> Page:
        """A new page once it has loaded what comes later, too."""
        page = self.context.new_page()
        quiet(page, path)
        return page

    def page_with(self, *parts: str, path: str = "") -> Page:
        """A new page, at a path of the server. Of the parts that come later only those of these ids come: to answer
        for one takes the server as long as for the page."""
        page = self.context.new_page()
        page.add_init_script(_COME_ALONE % json.dumps(parts))
        if path:
            page.goto(path)
        return page

    def page_without_parts(self, path: str = "") -> Page:
        """A new page that shows what the server gives at once."""
        return self.page_with(path=path)

    def skip_an_interval(self) -> None:
        """Let what renews itself every five seconds do so now. The clock of the pages must be `context.clock`."""
        self.context.clock.fast_forward(_INTERVAL_MS)

    def expect(self, pattern: str) -> None:
        """Take troubles that match for what the test wants."""
        self.expected.append(pattern)

    def close(self) -> None:
        self.context.close()
        unexpected = [each for each in self.troubles if not any(re.search(one, each) for one in self.expected)]
        assert not unexpected, "\n".join(unexpected)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(f"console: {message.text} ({message.location['url']})")

    def _refuse(self, dialog: Dialog) -> None:
        self.troubles.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _watch(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.netloc != self.origin and parts.scheme not in ("data", "about"):
            self.troubles.append(f"request to another origin: {request.url}")


def quiet(page: Page, path: str) -> None:
    """Go to a path and wait for what the page loads later, too. Its scripts have run: silence alone may come before."""
    page.goto(path)
    page.wait_for_load_state("networkidle")


def whole(page: Page, path: str) -> None:
    """Go to a path and wait until each part that comes later has come: sooner than `quiet`, which sees more."""
    page.goto(path)
    page.wait_for_function(_IS_WHOLE)

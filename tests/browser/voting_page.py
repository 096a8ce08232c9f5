"""A page of an app of another origin, under a strict policy, on which people rate answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser.visitor import PATIENCE_MS
from tests.pipeline.engines import REPOSITORY

EXAMPLE = (REPOSITORY / "clients/browser/example.html").read_text()
# Beyond what the example's own policy forbids: text that becomes markup or script.
_TRUSTED = "require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'; base-uri 'none'"
_TELL_BREACHES = """document.addEventListener("securitypolicyviolation",
  event => console.error("the policy forbids", event.violatedDirective, event.blockedURI));"""


@contextmanager
def app(port: int, html: Callable[[], str]) -> Iterator[None]:
    """Serve a page at every path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = html().encode()
            self.send_response(200)
            for name, value in (("content-type", "text/html; charset=utf-8"), ("content-security-policy", _TRUSTED),
                                ("content-length", str(len(body)))):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class Device:
    """A browser profile that opens the page. `troubles` is what its console told."""

    def __init__(self, browser: Browser, locale: str = "en-GB") -> None:
        self.context: BrowserContext = browser.new_context(locale=locale, reduced_motion="reduce")
        self.context.set_default_timeout(PATIENCE_MS)
        self.context.add_init_script(_TELL_BREACHES)
        self.troubles: list[str] = []
        self.context.on(
            "console", lambda said: (said.type in ("error", "warning") and self.troubles.append(said.text)) or None
        )
        self.context.on("weberror", lambda error: self.troubles.append(f"exception: {error.error}"))

    def open(self, address: str) -> Page:
        page = self.context.new_page()
        page.goto(address)
        return page

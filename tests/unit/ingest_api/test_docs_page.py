"""The documentation page loads everything from the server that shows it, and may load nothing else."""

import re
from html.parser import HTMLParser

import httpx
import pytest

from ingest_api.app import create_app
from ingest_api.settings import Settings

KINDS = {"css": "text/css", "js": "text/javascript", "png": "image/png"}


class Page(HTMLParser):
    """What a page refers to, and what of it a strict policy would forbid."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.forbidden: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag
        self.loaded += [value for name in ("src", "href") if (value := given.get(name)) and tag in ("script", "link")]
        self.forbidden += [name for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.forbidden.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture
def api() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(Settings())), base_url="http://localhost")


async def test_all_that_the_page_loads_is_here_and_nothing_is_inline(api: httpx.AsyncClient) -> None:
    reply = await api.get("/docs")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Page()
    page.feed(reply.text)
    assert (len(page.loaded), page.forbidden) == (4, [])
    assert "//" not in reply.text, "another host"
    for place in page.loaded:
        found = await api.get(str(reply.url.join(place)))
        assert found.status_code == 200, place
        assert found.content
        assert found.headers["content-type"].partition(";")[0] == KINDS[place.rpartition(".")[2]]
        assert found.headers["x-content-type-options"] == "nosniff"
        if place.endswith(("css", "start.js")):
            assert re.findall(r"@import|url\((?!\s*[\"']?(?:data:|#))", found.text) == [], place
    assert (await api.get("/openapi.json")).status_code == 200
    start = (await api.get("/docs/start.js")).text
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start


async def test_the_policy_allows_this_host_alone_and_no_script_in_the_page(api: httpx.AsyncClient) -> None:
    policy = (await api.get("/docs")).headers["content-security-policy"]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert rules["default-src"] == ["'self'"]
    assert {source for sources in rules.values() for source in sources} == {"'self'", "'none'", "data:"}
    assert [name for name, sources in rules.items() if "data:" in sources] == ["img-src"]


@pytest.mark.parametrize("name", ["other.js", "__init__.py", "..%2fmain.py", "%2e%2e/main.py", "docs_page.py"])
async def test_nothing_else_is_served_beside_it(api: httpx.AsyncClient, name: str) -> None:
    assert (await api.get(f"/docs/{name}")).status_code == 404

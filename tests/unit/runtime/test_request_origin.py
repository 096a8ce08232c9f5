"""What a web page of another origin may have sent is told from what a program sends, at every route."""

import re
from functools import cache

import httpx
import pytest
from starlette.routing import Route

from deploy.api import extend
from ingest_api.app import create_app
from ingest_api.http.edge_app import EdgeApp
from ingest_api.settings import Settings
from query_api.settings import QuerySettings
from runtime.http_errors import ApiError
from runtime.request_origin import host_names, refusal
from runtime.settings_errors import SettingsError, load

ALLOWED = frozenset({"feedback.example.com"})


def refusal_of(*headers: tuple[str, str], version: str = "1.1") -> ApiError | None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return refusal(encoded, scheme="http", http_version=version, allowed=ALLOWED)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "localhost:8787",
            "LOCALHOST:8787",
            "localhost.:8787",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1.:80",
        ),
        *("[::1]:8787", "[::]", "[::FFFF:127.0.0.1]", "192.168.1.7:8787", "203.0.113.9"),
        *("feedback.example.com", "Feedback.Example.com.:443"),
    ],
)
def test_a_name_of_this_server_is_taken(host: str) -> None:
    assert refusal_of(("host", host)) is None


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "a.feedback.example.com",
        ),
        *("127.0.0.1@evil.example", "localhost:8787@evil.example", "evil.example#localhost", "evil.example/localhost"),
        *("localhost,evil.example", "localhost evil.example", "evil.example\\localhost", "http://localhost"),
        *(
            "",
            ":8787",
            "localhost:x",
            "localhost:8787:8787",
            "localhost:123456",
            "localhost..",
            "[localhost]",
            "[127.0.0.1]",
        ),
        *(
            "::1",
            "::1:8787",
            "[::1",
            "::1]",
            "[::1]x",
            "[::1]evil.example",
            "[::1%eth0]",
            "127.1",
            "2130706433",
            "0x7f.1",
        ),
        *("127.0.0.01", "１２７.0.0.1".encode().decode("latin-1"), "localhost\xa0", "l" * 70_000),
    ],
)
def test_any_other_name_is_refused(host: str) -> None:
    refused = refusal_of(("host", host))
    assert refused is not None
    assert refused.reason == "unknown_host"
    assert len(refused.message) < 500
    forwarded = refusal_of(("host", host), ("x-forwarded-host", "localhost"), ("forwarded", "host=localhost"))
    assert forwarded is not None
    assert (forwarded.reason, forwarded.message) == (refused.reason, refused.message)


def test_two_hosts_are_refused_and_none_is_only_old_http() -> None:
    assert refusal_of(("host", "localhost"), ("host", "localhost")) is not None
    assert refusal_of(("host", "localhost"), ("host", "evil.example")) is not None
    assert refusal_of() is not None
    assert refusal_of(version="1.0") is None
    assert refusal_of(("origin", "http://localhost"), version="1.0") is not None


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8787", "http://localhost:8787"),
        ("LocalHost:8787", "http://localhost:8787"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("[::1]:8787", "http://[::1]:8787"),
        ("feedback.example.com", "https://feedback.example.com"),
        ("feedback.example.com:443", "https://feedback.example.com"),
        ("feedback.example.com", "http://feedback.example.com"),
    ],
)
def test_an_own_page_may_call(host: str, origin: str) -> None:
    assert refusal_of(("host", host), ("origin", origin), ("sec-fetch-site", "same-origin")) is None


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "", "http://evil.example", "http://evil.example:8787", "https://localhost:8787", "http://localhost"),
        *("http://localhost:3000", "http://127.0.0.1:8787", "http://localhost.:8787", "http://feedback.example.com"),
        *("http://localhost:8787@evil.example", "http://localhost:8787.evil.example", "http://localhost:8787/"),
        *("chrome-extension://abcdef", "file://", "localhost:8787", "http://localhost:8787, http://evil.example"),
    ],
)
def test_a_page_of_another_origin_may_not(origin: str) -> None:
    refused = refusal_of(("host", "localhost:8787"), ("origin", origin))
    assert refused is not None
    assert refused.reason == "cross_site"
    own = ("origin", "http://localhost:8787")
    assert refusal_of(("host", "localhost:8787"), own, ("origin", origin)) is not None
    assert refusal_of(("host", "localhost:8787"), ("origin", origin), own) is not None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "None", "something-new"])
def test_a_browser_that_tells_of_another_site_is_believed(site: str) -> None:
    host = ("host", "localhost")
    assert refusal_of(host, ("sec-fetch-site", site)) is not None
    assert refusal_of(host, ("sec-fetch-site", "same-origin"), ("sec-fetch-site", site)) is not None
    assert refusal_of(host, ("sec-fetch-site", "none")) is None


def test_names_are_listed_without_scheme_or_port() -> None:
    assert host_names(" A.example , b_c.internal.,edge") == ("a.example", "b_c.internal", "edge")
    assert host_names(" ") == ()
    for wrong in ("a,,b", "http://a", "a:80", "*", "*.example.com", "a b", "a/b", "-a", "a..b", "a" * 64, "x@a"):
        with pytest.raises(ValueError, match="must be host names"):
            host_names(wrong)


def test_a_faulty_list_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_ALLOWED_HOSTS", "https://feedback.example.com")
    with pytest.raises(SettingsError, match=r"FEEDBACK_ALLOWED_HOSTS must be host names .+, got https://feedback"):
        load(Settings)


def open_server(app: EdgeApp) -> None:
    """Have all keys read: there are none."""
    app.api_keys.unread.clear()


async def status(app: EdgeApp, method: str, path: str, **headers: str) -> int:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return (await client.request(method, path, headers=headers)).status_code


@cache
def opened_api() -> EdgeApp:
    """The whole API, one for all tests that only ask it."""
    app = create_app(Settings())
    extend(app, QuerySettings())
    open_server(app)
    return app


@cache
def routes() -> set[tuple[str, str]]:
    """Every method and path, of the document and of what is not in it."""
    app = opened_api()
    hidden = {route.path for route in app.routes if isinstance(route, Route)} - {*app.openapi()["paths"]}
    documented = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    found = documented | {("GET", path) for path in hidden} | {("OPTIONS", path) for _, path in documented}
    return {(method, re.sub(r"\{\w+\}", "1", path)) for method, path in found}


FILE = "/v1/logs/exports/1/file"


def test_the_routes_are_all_there() -> None:
    assert {path for _, path in routes()} > {"/v1/feedback/", "/v1/logs", "/metrics", "/docs", "/openapi.json", FILE}


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}], ids=str
)
async def test_no_route_answers_a_foreign_page_while_there_is_no_key(headers: dict[str, str]) -> None:
    app = opened_api()
    answered = {(method, path): await status(app, method, path, **headers) for method, path in routes()}
    answered |= {("GET", path): await status(app, "GET", path, **headers) for path in ("/", "/static/x")}
    files = {asked for asked in routes() if asked[1] == FILE}
    assert {asked for asked, code in answered.items() if code != 403} == files


async def test_the_documentation_works_from_its_own_origin() -> None:
    app = opened_api()
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert [await status(app, "GET", path, **own) for path in ("/docs", "/openapi.json", "/metrics")] == [200] * 3


async def test_a_key_anywhere_lets_in_who_has_one_from_whatever_page() -> None:
    app = create_app(Settings())
    foreign = {"Host": "evil.example"}
    assert await status(app, "GET", "/healthz", **foreign) == 200  # nobody is let in yet: no keys have been read
    open_server(app)
    assert await status(app, "GET", "/healthz", **foreign) == 403
    app.api_keys.close()
    assert await status(app, "GET", "/healthz", **foreign) == 200


async def test_the_name_to_listen_on_and_listed_names_are_taken() -> None:
    app = create_app(Settings(host="Edge.internal", allowed_hosts=("feedback.example.com",)))
    open_server(app)
    answers = [await status(app, "GET", "/healthz", Host=f"{name}:8787") for name in ("edge.internal", *ALLOWED)]
    assert answers == [200, 200]


LINK = (("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


def test_a_link_on_another_site_leads_to_a_page_and_to_nothing_else() -> None:
    def is_allowed(*headers: tuple[str, str], is_page: bool = True) -> bool:
        encoded = [(name.encode(), value.encode()) for name, value in (("host", "localhost:8787"), *headers)]
        return refusal(encoded, scheme="http", http_version="1.1", allowed=ALLOWED, is_page=is_page) is None

    assert is_allowed(*LINK)
    assert not is_allowed(*LINK, is_page=False)
    assert not is_allowed(LINK[0])
    assert not is_allowed(LINK[0], LINK[1], ("sec-fetch-dest", "iframe"))
    assert not is_allowed(LINK[0], ("sec-fetch-mode", "no-cors"), LINK[2])
    assert not is_allowed(*LINK, ("origin", "https://evil.example"))
    assert not is_allowed(*LINK, ("host", "evil.example"))

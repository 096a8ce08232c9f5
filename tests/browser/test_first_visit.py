"""What a first visit costs, and what every answer forbids a page to do."""

import re
from collections.abc import Callable
from typing import Any

import requests

from dashboard.pages import SECURITY_HEADERS
from dashboard.rendering import STATIC_VERSION
from runtime.request_headers import SESSION_COOKIE
from tests.browser.dashboard_system import DashboardSystem, Workspace
from tests.browser.visitor import Visitor, quiet
from tests.pipeline.workspace_isolation import PAGES

Visit = Callable[..., Visitor]
MOST_BYTES = 300_000


def test_a_first_visit_of_a_full_list_stays_small(furnished: Workspace, visitor: Visit) -> None:
    somebody = visitor(furnished)
    said: list[str] = []
    somebody.context.on("console", lambda message: said.append(message.text))
    page = somebody.page()
    sizes: list[int] = []
    session = somebody.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    quiet(page, "/logs?range=7d")
    assert page.locator("#rows tbody tr").count() == 50
    assert page.locator("time-chart canvas").count() == 1
    assert len(sizes) >= 8
    assert sum(sizes) <= MOST_BYTES
    assert said == []


def test_every_answer_has_the_strict_policy(system: DashboardSystem, workspace: Workspace) -> None:
    policy = SECURITY_HEADERS["content-security-policy"]
    assert {"default-src 'none'", "frame-ancestors 'none'", "script-src 'self'"} <= set(policy.split("; "))
    assert not re.search(r"unsafe|\*|http", policy)
    own_page = {"sec-fetch-site": "same-origin"}
    static = f"/static/{STATIC_VERSION}/dashboard.js"
    asked = [*((route.method, route.path) for route in PAGES), ("GET", static), ("GET", "/logs?columns=model"),
             ("GET", "/logs?cost_min=cheap"), ("GET", "/trace?id=nobody"), ("GET", "/trace")]  # fmt: skip
    posted = [each for each in asked if each[0] == "POST"]
    as_part = own_page | {"hx-request": "true", "hx-target": "section#rows"}
    # What may be read is read once: a form alone is refused for where it comes from, a fault alone differs as a part.
    for key, headers, addresses in (
        (workspace.key, own_page, asked),
        (workspace.key, {}, posted),
        (workspace.key, as_part, [*posted, ("GET", "/logs?cost_min=cheap"), ("GET", "/trace?id=nobody")]),
        *((key, headers, asked) for key in ("nonsense", "") for headers in (own_page, {}, as_part)),
    ):
        for method, path in addresses:
            answer = _ask(system, method, path, headers, key)
            assert answer.headers["content-security-policy"] == policy, (method, path, answer.status_code)
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
    for method, path in (
        ("GET", "/nowhere"),
        ("GET", "/static/nothing.js"),
        ("POST", "/logs"),
        ("GET", "/keys/revoke"),
    ):
        answer = _ask(system, method, path, own_page, workspace.key)
        assert answer.status_code in (404, 405)
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def _ask(system: DashboardSystem, method: str, path: str, headers: dict[str, str], key: str) -> Any:
    cookies = {SESSION_COOKIE: key} if key else {}
    return requests.request(
        method, system.url + path, headers=headers, cookies=cookies, allow_redirects=False, timeout=60
    )

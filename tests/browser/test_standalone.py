"""`feedback dashboard`: the same pages by a process of their own, beside an API or without one."""

import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, expect

from deploy.kafka.broker import free_ports
from runtime.request_headers import SESSION_COOKIE
from tests.browser.dashboard_system import DashboardSystem, Workspace, request_log
from tests.browser.visitor import Visitor
from tests.pipeline.engines import Process, answers, until

Visit = Callable[..., Visitor]


@contextmanager
def dashboard(api: str, log: Path) -> Iterator[str]:
    """A dashboard of its own over this API; where it is."""
    (port,) = free_ports(1)
    argv = [sys.executable, "-m", "deploy.cli", "dashboard", "--api", api, "--port", str(port)]
    process = Process(argv, log, {})
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{url}/healthz"), "the dashboard answers")
        yield url
    finally:
        process.stop()


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nothing listens, and nothing else can."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def somebody(browser: Browser) -> Iterator[Callable[[str], Visitor]]:
    made: list[Visitor] = []

    def visit(url: str) -> Visitor:
        made.append(Visitor(browser, url))
        return made[-1]

    yield visit
    for each in made:
        each.close()


def test_it_signs_in_lists_and_adds_feedback_over_an_api_elsewhere(
    system: DashboardSystem, workspace: Workspace, somebody: Callable[[str], Visitor], tmp_path: Path
) -> None:
    workspace.log(request_log("elsewhere"))
    with dashboard(system.url, tmp_path / "dashboard.log") as url:
        assert requests.get(f"{url}/readyz", timeout=30).json() == {"status": "ok"}
        viewer = somebody(url)
        viewer.context.clock.install()
        page = viewer.page_without_parts("/logs")
        page.get_by_label("API key").fill(workspace.key)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#rows tbody tr").first.click()
        form = page.locator("form.rate")
        form.get_by_label("Value").fill("3")
        form.get_by_role("button", name="Add").click()
        expect(page.locator("#drawer .opinions .pair")).to_have_count(1)
        viewer.skip_an_interval()
        expect(page.locator("td.count")).to_have_text("1")
        (cookie,) = [each for each in viewer.context.cookies() if each["name"] == SESSION_COOKIE]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        page.close()
    assert workspace.key not in (tmp_path / "dashboard.log").read_text()


def test_it_says_that_the_api_is_away(somebody: Callable[[str], Visitor], nowhere: str, tmp_path: Path) -> None:
    with dashboard(nowhere, tmp_path / "dashboard.log") as url:
        ready = requests.get(f"{url}/readyz", timeout=30)
        assert (ready.status_code, ready.json()["waits_for"]) == (503, "api")
        viewer = somebody(url)
        viewer.expect("status of 503")
        page = viewer.page("/logs")
        expect(page.get_by_role("heading", name="Not available right now")).to_be_visible()
        expect(page.locator("#notice")).to_contain_text(re.compile("Feedback API .*does not answer"))
        page.close()


def test_an_address_beyond_its_limit_is_refused(nowhere: str, tmp_path: Path) -> None:
    with dashboard(nowhere, tmp_path / "dashboard.log") as url:
        assert requests.get(f"{url}/healthz?{'a' * 20_000}", timeout=30).status_code == 414

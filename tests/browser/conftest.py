"""One system and one real Chromium for all tests in this folder; each test has its visitors and workspaces."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.chromium import chromium_path, launch_options
from tests.browser.dashboard_system import DashboardSystem, Workspace
from tests.browser.furnished import week_of_an_app
from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.pipeline.engines import embedded


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where the distribution's Chromium is; none is downloaded."""
    path = chromium_path()
    if path is None:
        reason = "chromium not found"
        if os.environ.get("FEEDBACK_REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}, and FEEDBACK_REQUIRE_BROWSER=1 asks for it")
        pytest.skip(reason)
    return path


@pytest.fixture(scope="package")
def system(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardSystem]:
    """The API, a worker, the program that keeps rollups, and their engines."""
    folder = tmp_path_factory.mktemp("browser")
    with ExitStack() as stack:
        engines = stack.enter_context(embedded(folder))
        engines.prepare()
        system = stack.enter_context(DashboardSystem(engines, folder))
        stack.enter_context(system.rollup(1.0))
        yield system


@pytest.fixture(scope="package")
def browser(chromium: str, system: DashboardSystem) -> Iterator[Browser]:
    """A running Chromium. It comes after the system, since its driver has a loop in this thread."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(**launch_options())
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def furnished(system: DashboardSystem) -> Workspace:
    """A workspace with a lot in it, to be looked at and not changed."""
    return week_of_an_app(system)


@pytest.fixture
def workspace(system: DashboardSystem) -> Workspace:
    return system.workspace()


@pytest.fixture
def visitor(browser: Browser, system: DashboardSystem) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors, signed in with the key of a workspace if one is given. None may have met with trouble."""
    made: list[Visitor] = []

    def visit(workspace: Workspace | None = None, **options: object) -> Visitor:
        made.append(Visitor(browser, system.url, workspace.key if workspace else "", **options))
        return made[-1]

    yield visit
    for each in made:
        each.close()

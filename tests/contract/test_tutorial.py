"""Does what docs/tutorial.md says, step by step, over a `feedback up` of its own; at the end in a browser.

A comment before a fence says what its code is for: `save NAME` is a file, `start` goes on beside what follows, `run`
ends by itself and, where it names a trace, leaves a request and a feedback on it, `install` names packages.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from playwright.sync_api import Browser, expect, sync_playwright

from deploy.kafka.broker import free_ports
from tests.browser.chromium import chromium_path, launch_options
from tests.pipeline.engines import REPOSITORY, Process, until
from tests.pipeline.supervised import Up, starter

PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text()
STEP = re.compile(r"^<!-- tutorial: (\w+) ?(\S*) -->\n```(?:sh|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LITELLM = REPOSITORY / ".venv" / "litellm" / "bin" / "python"


class Step(NamedTuple):
    """One fence of the page."""

    kind: str
    name: str
    code: str


STEPS = [Step(*found.groups()) for found in STEP.finditer(PAGE)]


class Tutorial:
    """A reader who does one step after the other in one folder."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder, self._running, self.printed = folder, running, ""
        provider, gateway, self.page_port = free_ports(3)
        start = running.enter_context(starter(folder))
        self.up: Up = start(".feedback", environment={
            "FEEDBACK_GATEWAY_UPSTREAM": f"http://127.0.0.1:{provider}",
            "FEEDBACK_GATEWAY_PORT": str(gateway),
            "FEEDBACK_BROWSER_ORIGINS": f"http://127.0.0.1:{self.page_port}",
        })  # fmt: skip
        self._ports = {"8787": self.up.port, "8789": gateway, "9900": provider, "9901": self.page_port}
        self._environment = {
            **os.environ, "PYTHONPATH": str(REPOSITORY), "FEEDBACK_URL": self.up.url,
            "FEEDBACK_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.up.kafka_port}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would ask a site for prices
        }  # fmt: skip

    def do(self, step: Step) -> None:
        code = self.placed(step.code)
        match step.kind:
            case "save":
                (self.folder / step.name).write_text(code)
            case "start":
                running = Process(["bash", "-c", f"cd {self.folder} && exec {code}"], self.folder / "log")
                self._running.callback(running.kill)
            case "run":
                self.printed = self._run(code)
                if step.name:
                    until(lambda: self.numbers_of(step.name) == (1, 1), f"{step.name} has a request and a feedback")
            case "install":
                for each in code.partition("pip install ")[2].replace("\\\n", "").split():
                    assert version("feedback-client" if each == "./clients/python" else each)
            case other:
                pytest.fail(f"{other} is no kind of step")

    def placed(self, code: str) -> str:
        """The code with the ports of this server and the interpreters of these tests."""
        code = re.sub(rf"\b({'|'.join(self._ports)})\b", lambda found: str(self._ports[found[0]]), code)
        code = code.replace(".venv/bin/feedback", f"{sys.executable} -m deploy.cli")
        return re.sub(r"\b(?:app/bin/python|python3)(?= )", sys.executable, code).replace(
            "litellm/bin/python", str(LITELLM)
        )

    def _run(self, code: str) -> str:
        run = subprocess.run(
            ["bash", "-e", "-c", code], cwd=self.folder, env=self._environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert run.stdout.strip(), f"it shows nothing: {code}"
        return run.stdout

    def numbers_of(self, trace_id: str, key: str = "") -> tuple[int, int]:
        """The requests and the feedbacks of a trace."""
        reply = requests.get(f"{self.up.url}/v1/traces/{trace_id}", headers={"x-portkey-api-key": key}, timeout=30)
        if reply.status_code == 404:
            return 0, 0
        found: dict[str, Any] = reply.json()
        return found["spans"]["total"], found["feedback"]["total"]


@pytest.fixture
def tutorial(tmp_path: Path) -> Iterator[Tutorial]:
    with ExitStack() as running:
        made = Tutorial(tmp_path, running)
        made.up.start_and_wait()
        yield made


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(**launch_options())
        yield launched
        launched.close()


def needed_here(what: str, is_there: bool, setting: str) -> bool:
    """Whether a part of the page can be tried; where it is asked for it must be."""
    assert is_there or os.environ.get(setting) != "1", f"{what} is missing, and {setting}=1 asks for it"
    return is_there


def test_each_way_of_the_tutorial_ends_in_a_rated_answer_on_the_dashboard(tutorial: Tutorial) -> None:
    assert len(STEPS) == PAGE.count("<!-- tutorial:"), "a mark without its fence"
    has_litellm = needed_here("LiteLLM", LITELLM.exists(), "FEEDBACK_REQUIRE_LITELLM")
    for step in STEPS:
        if "litellm" in step.code and not has_litellm:
            continue
        tutorial.do(step)
        if "by_spans.py" in step.code and step.kind == "run":
            trace_id = tutorial.printed.split()[-1]
            until(lambda trace_id=trace_id: tutorial.numbers_of(trace_id) == (1, 1), "the span is joined")  # type: ignore[misc]
        if "--scope admin" in step.code:
            key = re.findall(r"fbk_\w+", tutorial.printed)[0]
    if not needed_here("Chromium", chromium_path() is not None, "FEEDBACK_REQUIRE_BROWSER"):
        return
    with chromium() as browser:
        page = browser.new_page()
        until(lambda: requests.get(f"http://127.0.0.1:{tutorial.page_port}", timeout=5).ok, "the page is served")
        page.goto(f"http://127.0.0.1:{tutorial.page_port}")
        page.get_by_role("button").first.click()
        until(lambda: tutorial.numbers_of("by-gateway", key) == (1, 2), "the vote is stored")
        page.goto(f"{tutorial.up.url}/logs")
        page.get_by_label("API key").fill(key)
        page.keyboard.press("Enter")
        row = page.locator("tr", has=page.locator("a[href*='by-gateway']"))
        expect(row.locator(".pair")).to_have_count(2)

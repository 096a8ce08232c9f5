"""One edge, one worker and the embedded engines for all contract tests, and ways to wait for what a client sent."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pipelines
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

PACKAGE = Path(__file__).parent / "node"
Row = dict[str, Any]
RowOf = Callable[[str], Row]


@pytest.fixture(scope="session")
def pipeline(pipelines: Pipelines) -> Pipeline:
    return pipelines("embedded")


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Node finds the packages of the lock file, and scripts that use them."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing:
        reason = f"{' and '.join(missing)} not found"
        if os.environ.get("FEEDBACK_REQUIRE_NODE") == "1":
            pytest.fail(f"{reason}, and FEEDBACK_REQUIRE_NODE=1 asks for them")
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("node") / "contract"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("node_modules"))
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    run = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def stored(pipeline: Pipeline) -> RowOf:
    """The row of a feedback id, as soon as there is one."""

    def row(feedback_id: str) -> Row:
        found: Row = {}
        until(lambda: found.update(pipeline.stored(feedback_id)) or found, f"feedback {feedback_id} is stored")
        return found

    return row


@pytest.fixture
def logged(pipeline: Pipeline) -> RowOf:
    """The row of a request id, as soon as there is one."""

    def row(request_id: str) -> Row:
        query = "SELECT * FROM feedback.request_logs WHERE request_id = {id:UUID}"
        found: list[Row] = []
        until(lambda: found.extend(pipeline.sql(query, id=request_id)) or found, f"request {request_id} is stored")
        (one,) = found
        return one

    return row


@pytest.fixture
def trace() -> str:
    """A trace id that nothing else uses."""
    return f"contract-{uuid.uuid4()}"


@pytest.fixture(autouse=True)
def no_client_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients are told where to go by their base URL alone, whatever this shell exports."""
    for name in ("PORTKEY_API_KEY", "PORTKEY_PROXY", "PORTKEY_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

"""One edge, one worker and the embedded engines for all contract tests, and ways to wait for what a client sent."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pipelines
from tests.pipeline.engines import REPOSITORY, until
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
    (folder / "node_modules").symlink_to(_packages())
    return folder


def _packages() -> Path:
    """Where npm has installed the packages of the lock file, once for all test processes. It is named after that."""
    lock = PACKAGE / "package-lock.json"
    kept = REPOSITORY / ".pytest_cache" / "node"
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    with (kept / "lock").open("w") as one_process:
        fcntl.flock(one_process, fcntl.LOCK_EX)
        if not folder.exists():
            draft = kept / "draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            for file in (lock, PACKAGE / "package.json"):
                shutil.copy(file, draft)
            install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            run = subprocess.run(install, cwd=draft, capture_output=True, text=True, timeout=300)
            assert run.returncode == 0, run.stderr
            draft.rename(folder)
    return folder / "node_modules"


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

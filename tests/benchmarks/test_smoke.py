"""Every benchmark runs to its end on a tiny scale, checks its own answers and saves figures, so that none of them rots.

What the figures say at this size means nothing. Each starts engines of its own, so a run of all tests draws two
of them anew.
"""

import json
import os
import random
from pathlib import Path

import pytest

from tests.pipeline.forked import ended
from tests.tries import tries

REPOSITORY = Path(__file__).parents[2]
TINY = {
    "worker": ["--events", "2000", "--faust-events", "1000", "--quix-events", "1000"],
    "cold_join": ["--stored", "5000", "--events", "400"],
    "restart": ["--stored", "5000", "--keys", "5000"],
    "analytics": ["--rows", "3000", "--days", "2"],
    "latency": ["--stored", "3000", "--seconds", "0.3", "--backlog", "2000", "--call-size", "10"],
    "otlp": ["--seconds", "0.5"],
    "reading": ["--requests", "2000", "--small", "0", "--days", "1", "--batches", "1", "--not-cold"],
    "hot_trace": [
        "--feedback", "1000", "--requests", "100", "--reads", "1", "--case", "requests after all feedback",
    ],
}  # fmt: skip

AMONG_ALL_TESTS = "PYTEST_XDIST_WORKER" in os.environ
DRAWN = random.sample(sorted(TINY), min(tries(2), len(TINY))) if AMONG_ALL_TESTS else TINY


@pytest.mark.parametrize("name", TINY)
def test_a_tiny_run_saves_its_figures(name: str, tmp_path: Path) -> None:
    if name not in DRAWN:
        pytest.skip("not drawn in this run: make test-long tries all")
    if name == "worker" and not (REPOSITORY / ".venv" / "quix").exists():
        pytest.skip("Quix Streams is not installed: make .venv/.quix")
    options = ["--rounds", "1", "--results", str(tmp_path), *TINY[name]]
    code, told = ended(f"benchmarks.{name}", *options, log=tmp_path / "log", environment=os.environ, seconds=240)
    assert code == 0, told[-3000:]
    kept = json.loads((tmp_path / f"{name}.json").read_text())
    assert all(figure["median"] > 0 for figure in kept["figures"])
    assert kept["title"] in (tmp_path / "benchmarks.md").read_text()


def test_every_benchmark_has_a_tiny_run() -> None:
    programs = {path.stem for path in (REPOSITORY / "benchmarks").glob("*.py") if "keep(" in path.read_text()}
    assert programs - {"options", "edge", "gateway"} == set(TINY)  # two need wrk

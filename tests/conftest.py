"""What all tests share: `pipelines`, which gives the running pipeline of an engine source, and the order of tests."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.pipeline.engines import SOURCES
from tests.pipeline.kafka_classes import java_options
from tests.pipeline.running import Pipeline
from tests.tries import tries

Pipelines = Callable[[str], Pipeline]
TESTS = Path(__file__).parent

# What collecting imports and makes stays until the end: to look through it again and again takes half of the time.
gc.disable()

os.environ.setdefault("JAVA_TOOL_OPTIONS", java_options())
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as `feedback up` has it for its programs

# Machines stall: what takes long is held elsewhere.
settings.register_profile("feedback", max_examples=tries(30), deadline=None)
settings.load_profile("feedback")

# Files with tests that wait for minutes come first, those that take no time last: the last one keeps no core idle. All
# that shares a running pipeline comes together, because at rest a pipeline takes a twentieth of a core.
ORDER = ("chaos", "benchmarks", "browser", "over Kafka", "pipeline", "contract", "sharing", "clients", "fuzz", "unit")

_sharing: set[Path] = set()
"""The files that have tests over a pipeline which is running for all of them, the one over Kafka apart."""

_running: dict[str, ExitStack] = {}
"""What must be stopped of the pipeline of a source, by its name."""


def over_kafka(nodeid: str) -> bool:
    """Whether this test's pipeline runs over Apache Kafka."""
    return nodeid.startswith("tests/pipeline/") and "[kafka" in nodeid


class FileByFile(LoadFileScheduling):
    """Each process takes a file at a time. What runs over Apache Kafka is one file, so that one Kafka is started; what
    drives a browser, too, which shares a system and a browser."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/browser/"):
            return "in a browser"
        return "over Kafka" if over_kafka(nodeid) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileByFile:
    return FileByFile(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Of several processes each imports other files first. What one of them has compiled, the others find on the disk;
    in one order all of them would compile everything."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    files = sorted(TESTS.rglob("test_*.py")) if processes > 1 else []
    for file in files[number::processes]:
        with suppress(Exception, pytest.skip.Exception):  # told where it is collected
            import_module(".".join(file.relative_to(TESTS.parent).with_suffix("").parts))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _sharing.update(item.path for item in items if _shares(item))
    items.sort(key=lambda item: [ORDER.index(part) for part in _parts(item) if part in ORDER])


def _shares(item: pytest.Item) -> bool:
    return "pipelines" in getattr(item, "fixturenames", ()) and not over_kafka(item.nodeid)


def _parts(item: pytest.Item) -> tuple[str, ...]:
    if over_kafka(item.nodeid):
        return ("over Kafka",)
    return (*(["sharing"] if item.path in _sharing else []), *item.path.parts)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Each pipeline stops after the last test over it."""
    if over_kafka(item.nodeid) and (nextitem is None or not over_kafka(nextitem.nodeid)):
        _stop("kafka")
    if nextitem is not None and nextitem.path not in _sharing:
        _stop("embedded")


def _stop(source: str) -> None:
    if source in _running:
        _running.pop(source).close()


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    """The pipeline of a source by its name. It starts when first asked for and goes on running, whichever source is
    asked for next: where files are dealt out to several processes, tests of the sources take turns."""
    started: dict[str, Pipeline] = {}

    def pipeline_of(source: str) -> Pipeline:
        if source not in _running:
            with ExitStack() as starting:
                engines = starting.enter_context(SOURCES[source](tmp_path_factory.mktemp(source)))
                engines.prepare()
                started[source] = starting.enter_context(Pipeline(engines, tmp_path_factory.mktemp("pipeline")))
                _running[source] = starting.pop_all()
        return started[source]

    yield pipeline_of
    for source in list(_running):
        _stop(source)

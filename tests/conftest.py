"""What all tests share: `pipelines`, which gives the running pipeline of an engine source, and the order of files."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.pipeline.engines import SOURCES
from tests.pipeline.running import Pipeline

Pipelines = Callable[[str], Pipeline]

# Brokers live for minutes here: what Java's second compiler would gain is less than it costs.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")

# Files with tests that wait for minutes come first, those that take no time last: the last one keeps no core idle.
ORDER = ("chaos", "benchmarks", "pipeline", "contract", "fuzz", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [ORDER.index(part) for part in item.path.parts if part in ORDER])


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipelines]:
    """The pipeline of a source by its name. It starts when first asked for and runs until the session ends, whichever
    source is asked for next: where files are dealt out to several processes, tests of the sources take turns."""
    with ExitStack() as running:

        @cache
        def pipeline_of(source: str) -> Pipeline:
            engines = running.enter_context(SOURCES[source](tmp_path_factory.mktemp(source)))
            engines.prepare()
            return running.enter_context(Pipeline(engines, tmp_path_factory.mktemp("pipeline")))

        yield pipeline_of

"""The `pipeline` fixture: an edge and workers over real engines, once per engine source and session."""

from collections.abc import Iterator

import pytest

from tests.pipeline.engines import SOURCES, Engines
from tests.pipeline.running import Pipeline


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=[pytest.mark.kafka] if name == "kafka" else []) for name in SOURCES],
)
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    folder = tmp_path_factory.mktemp(request.param)
    with SOURCES[request.param](folder) as found:
        found.prepare()
        yield found


@pytest.fixture(scope="session")
def pipeline(engines: Engines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with Pipeline(engines, tmp_path_factory.mktemp("pipeline")) as running:
        yield running

"""Fixtures: `pipeline`, an edge and workers over real engines, once per engine source; `world`, a
ClickHouse with invented feedback and the queries over it; and, for each test that wants to break it, an `edge` of its
own over a `broker` of its own, or the `url` of a ClickHouse of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Pipelines
from tests.pipeline.engines import SOURCES, clickhouse_with_tables
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge
from tests.pipeline.query_api.analytics_world import World, world_in
from tests.pipeline.running import Pipeline
from tests.tries import TIMES


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests run over the embedded engines; those marked `each_source`, and in a long run all, over each there is."""
    if "pipeline" in metafunc.fixturenames:
        each = TIMES > 1 or metafunc.definition.get_closest_marker("each_source") is not None
        marks = {"kafka": pytest.mark.kafka}
        sources = [pytest.param(name, marks=marks.get(name, ())) for name in (SOURCES if each else ["embedded"])]
        metafunc.parametrize("pipeline", sources, indirect=True, scope="session")


@pytest.fixture(scope="session")
def pipeline(request: pytest.FixtureRequest, pipelines: Pipelines) -> Pipeline:
    return pipelines(request.param)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_in(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a ClickHouse of the test's own, with empty tables."""
    with clickhouse_with_tables(tmp_path / "clickhouse") as address:
        yield address


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.kill()


@pytest.fixture
def edge(broker: Broker, tmp_path: Path) -> Iterator[Edge]:
    running = Edge(tmp_path, broker.bootstrap, FEEDBACK_PRODUCE_TIMEOUT_S="2", FEEDBACK_MAX_LOGGED_BODY_BYTES="5000000")
    running.until_ready()
    yield running
    running.kill()

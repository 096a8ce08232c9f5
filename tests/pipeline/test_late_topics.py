"""Programs that start before there are topics, or before a broker that has just come back tells of them."""

import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.migrate import migrate
from deploy.topics import create_topics
from tests.pipeline.engines import PARTITIONS, Engines, Process, kafka, until


@pytest.fixture
def engines(tmp_path: Path) -> Iterator[Engines]:
    """ClickHouse, and a broker without topics. The embedded broker would make a topic that somebody asks for."""
    with kafka(tmp_path) as running:
        migrate(running.clickhouse)
        yield running


@pytest.mark.kafka
def test_programs_read_topics_that_appear_after_they_have_joined(engines: Engines, tmp_path: Path) -> None:
    environment = engines.environment | {"FEEDBACK_SESSION_TIMEOUT_S": "6"}
    topics_of = {"stream_workers": 2, "stream_workers.rollup_app": 1}
    logs = {module: tmp_path / f"{module}.log" for module in topics_of}
    programs = [Process([sys.executable, "-m", module], log, environment) for module, log in logs.items()]
    try:
        for log in logs.values():
            until(lambda log=log: assigned(log) == 0, "a program has joined its group and has nothing to read")  # type: ignore[misc]
        asyncio.run(create_topics(engines.kafka, PARTITIONS))
        for module, topics in topics_of.items():
            until(
                lambda module=module, topics=topics: assigned(logs[module]) == topics * PARTITIONS,  # type: ignore[misc]
                f"{module} reads all partitions",
                60,
            )
        assert all(program.running for program in programs)
    finally:
        for program in programs:
            program.kill()


def assigned(log: Path) -> int | None:
    """How many partitions a program says it has; None before it has said it."""
    said = re.findall(r"ready: (\d+) partitions", log.read_text())
    return int(said[-1]) if said else None

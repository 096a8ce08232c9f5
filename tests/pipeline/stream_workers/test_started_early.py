"""Programs that start before what they need is there go on once it is, and nobody has to start them again."""

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka import AIOKafkaProducer

from deploy.embedded import broker as embedded_broker
from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka.broker import free_ports
from operations.migrate import migrate
from operations.topics import create_topics
from runtime.kafka_offsets import committed_offsets
from schemas.topics import FEEDBACK_EVENTS, ROLLUP_INVALIDATIONS
from tests.pipeline.engines import PARTITIONS, Engines, Process, clickhouse_front, until

TOPICS_OF = {"stream_workers": 2, "stream_workers.rollup.app": 1}


def test_programs_wait_for_a_clickhouse_that_is_not_there_yet(tmp_path: Path) -> None:
    kafka_port, clickhouse_port = free_ports(2)
    engines = Engines(
        f"127.0.0.1:{kafka_port}",
        keep_address(tmp_path / "clickhouse", "127.0.0.1", clickhouse_port),
        idempotence=False,
    )
    broker = Process(embedded_broker.command("127.0.0.1", kafka_port), tmp_path / "broker.log")
    try:
        asyncio.run(embedded_broker.wait_until_ready(engines.kafka))
        asyncio.run(create_topics(engines.kafka, PARTITIONS))
        asyncio.run(send_poison(engines.kafka, FEEDBACK_EVENTS, ROLLUP_INVALIDATIONS))
        with programs(engines, tmp_path) as logs:
            until(lambda: all(tries(log) > 1 for log in logs.values()), "all have tried to reach ClickHouse")
            with clickhouse_front(tmp_path / "clickhouse", clickhouse_port):
                migrate(engines.clickhouse)
                until(lambda: has_read(engines.kafka, "feedback-workers", FEEDBACK_EVENTS), "the worker works")
                until(
                    lambda: has_read(engines.kafka, "feedback-rollups", ROLLUP_INVALIDATIONS),
                    "the rollup program works",
                )
    finally:
        broker.kill()


@contextmanager
def programs(engines: Engines, folder: Path) -> Iterator[dict[str, Path]]:
    """A worker and the rollup program, which must not end by themselves; the log of each."""
    environment = engines.environment | {"FEEDBACK_SESSION_TIMEOUT_S": "6"}
    logs = {module: folder / f"{module}.log" for module in TOPICS_OF}
    started = [Process([sys.executable, "-m", module], log, environment) for module, log in logs.items()]
    try:
        yield logs
        assert all(program.running for program in started)
        for program in started:
            program.terminate()  # so that they leave their groups
        for program in started:
            program.wait()
    finally:
        for program in started:
            program.kill()


async def send_poison(bootstrap: str, *topics: str) -> None:
    """A record that says nothing, to each."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for topic in topics:
            await producer.send_and_wait(topic, b"{", partition=0)


def has_read(bootstrap: str, group: str, topic: str) -> bool:
    """Whether the group is done with the one record of the topic."""
    return 1 in asyncio.run(committed_offsets(bootstrap, group, [topic])).values()


def read_all(logs: dict[str, Path]) -> bool:
    return all(assigned(logs[module]) == topics * PARTITIONS for module, topics in TOPICS_OF.items())


def assigned(log: Path) -> int | None:
    """How many partitions a program says it has; None before it has said it."""
    said = re.findall(r"ready: (\d+) partitions", log.read_text())
    return int(said[-1]) if said else None


def tries(log: Path) -> int:
    return len(re.findall(r"connecting to ClickHouse at \S+ failed, trying again", log.read_text()))

"""What programs and commands do where they cannot go on: tables of another version, records they cannot read, engines
that answer nothing."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import pytest
import requests
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from clickhouse_connect.driver.client import Client

from deploy import cli
from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka.broker import free_ports
from runtime.schema_version import known_migrations
from schemas.topics import FEEDBACK_EVENTS
from tests.conftest import Pipelines
from tests.pipeline.engines import PARTITIONS, Engines, Process, clickhouse_process, embedded, put_tables, until

NEWEST = max(known_migrations())
NEWER = f"(migration 9000, this program knows {NEWEST}): upgrade this program, or run `feedback migrate --to {NEWEST}`"
OLDER = f"(without migration {NEWEST}, and this program needs {NEWEST}): run `feedback migrate` of this version"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    with embedded(tmp_path_factory.mktemp("stops")) as running:
        running.prepare()
        yield running


@pytest.fixture(scope="module")
def sql(engines: Engines) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=engines.clickhouse) as client:
        yield client


@contextmanager
def recorded(sql: Client, version: int, *, undone: bool) -> Iterator[None]:
    """As though this migration were in force, or were not."""

    def record(is_undone: bool) -> None:
        columns = ["version", "name", "is_undone"]
        sql.insert("feedback.schema_migrations", [(version, "a_test", int(is_undone))], column_names=columns)

    record(undone)
    try:
        yield
    finally:
        record(not undone)


def program(module: str, engines: Engines, log: Path, **settings: str) -> Process:
    settings = {"FEEDBACK_SESSION_TIMEOUT_S": "3", **settings}
    return Process([sys.executable, "-m", module], log, {**engines.environment, **settings})


def ends_with_1(process: Process) -> str:
    """Its log, once it has ended by itself."""
    try:
        until(lambda: not process.running, "it has ended", seconds=90)
        assert process.ended_with == 1
        return process.log.read_text()
    finally:
        process.kill()


def test_tables_of_a_newer_version_are_named_with_the_command_to_run(
    engines: Engines, sql: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (port,) = free_ports(1)
    with recorded(sql, 9000, undone=False):
        worker = program("stream_workers", engines, tmp_path / "worker.log")
        rollup = program("stream_workers.rollup.app", engines, tmp_path / "rollup.log")
        api = program("deploy.api", engines, tmp_path / "api.log", FEEDBACK_PORT=str(port))
        try:
            assert cli.main(["orphans", "--clickhouse-url", engines.clickhouse]) == 1
            assert NEWER in capsys.readouterr().err
            assert NEWER in ends_with_1(worker)
            assert NEWER in ends_with_1(rollup)
            until(lambda: NEWER in api.log.read_text(), "the API says it", seconds=60)
            asked = f"http://127.0.0.1:{port}/v1/feedback"
            until(lambda: requests.get(asked, timeout=30).status_code == 503, "it answers nothing that it cannot know")
        finally:
            api.kill()


def test_tables_of_an_older_version_are_named_with_the_command_to_run(
    engines: Engines, sql: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with recorded(sql, NEWEST, undone=True):
        assert cli.main(["orphans", "--clickhouse-url", engines.clickhouse]) == 1
        assert OLDER in capsys.readouterr().err
        assert OLDER in ends_with_1(program("stream_workers", engines, tmp_path / "worker.log"))


def test_a_log_older_than_what_is_stored_of_it_is_not_read_unless_its_base_is_higher(
    engines: Engines, sql: Client, tmp_path: Path
) -> None:
    columns = ["topic", "kafka_partition", "sequence"]
    sql.insert("feedback.expired_records", [(FEEDBACK_EVENTS, 0, 4_999)], column_names=columns)
    (metrics,) = free_ports(1)
    try:
        log = ends_with_1(program("stream_workers", engines, tmp_path / "worker.log"))
        assert f"{FEEDBACK_EVENTS}/0 ends at offset 0, and ClickHouse has stored its offset 4,999" in log
        assert "with a higher FEEDBACK_OFFSET_BASE" in log
        given = {"FEEDBACK_OFFSET_BASE": "5000", "FEEDBACK_METRICS_PORT": str(metrics)}
        higher = program("stream_workers", engines, tmp_path / "higher.log", **given)
        try:
            ready = f"http://127.0.0.1:{metrics}/readyz"
            until(lambda: requests.get(ready, timeout=5).status_code == 200, "a higher base is taken")
        finally:
            higher.kill()
    finally:
        sql.command("TRUNCATE TABLE feedback.expired_records")


@pytest.mark.parametrize("source", [pytest.param("kafka", marks=pytest.mark.kafka)])
def test_a_program_that_kafka_keeps_out_of_its_group_says_why_and_ends(
    pipelines: Pipelines, source: str, tmp_path: Path
) -> None:
    engines = pipelines(source).engines

    async def beside_another_kind_of_program() -> str:
        other = AIOKafkaConsumer(
            FEEDBACK_EVENTS,
            bootstrap_servers=engines.kafka,
            group_id="shared",
            partition_assignment_strategy=[RangePartitionAssignor],
        )
        async with other:
            given = {"FEEDBACK_ROLLUP_GROUP": "shared", "FEEDBACK_SESSION_TIMEOUT_S": "10"}
            rollup = program("stream_workers.rollup.app", engines, tmp_path / "rollup.log", **given)
            return await asyncio.to_thread(ends_with_1, rollup)

    worker = program("stream_workers", engines, tmp_path / "worker.log", FEEDBACK_CONSUMER_GROUP="short")
    assert (
        "Kafka does not take this program into the consumer group short (InvalidSessionTimeoutError):"
        " set FEEDBACK_SESSION_TIMEOUT_S"
    ) in ends_with_1(worker)
    assert "the consumer group shared (InconsistentGroupProtocolError): another kind of program" in asyncio.run(
        beside_another_kind_of_program()
    )


def test_a_program_that_meets_another_kind_in_its_group_says_so_and_ends(engines: Engines, tmp_path: Path) -> None:
    worker = program("stream_workers", engines, tmp_path / "worker.log", FEEDBACK_CONSUMER_GROUP="mixed")
    rollup = program("stream_workers.rollup.app", engines, tmp_path / "rollup.log", FEEDBACK_ROLLUP_GROUP="mixed")
    try:
        # Whichever leads the group sees it.
        until(lambda: not (worker.running and rollup.running), "one of them has ended", seconds=60)
        log = ends_with_1(rollup if worker.running else worker)
        assert "others in the consumer group mixed read" in log
        assert "set FEEDBACK_CONSUMER_GROUP of the workers, or FEEDBACK_ROLLUP_GROUP of the rollup program" in log
    finally:
        worker.kill()
        rollup.kill()


async def send(bootstrap: str, values: list[bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    for number, value in enumerate(values):
        await producer.send(FEEDBACK_EVENTS, value, partition=number % PARTITIONS)
    await producer.stop()


def test_a_worker_that_can_read_nothing_stops_before_it_makes_dead_letters(
    engines: Engines, sql: Client, tmp_path: Path
) -> None:
    asyncio.run(send(engines.kafka, [b'{"event":"of a newer version"}'] * 200))
    log = ends_with_1(program("stream_workers", engines, tmp_path / "worker.log"))
    assert "200 of the latest 200 records would become dead letters (invalid 200; the first, feedback.events.v1/" in log
    assert "FEEDBACK_MAX_DEAD_SHARE=1" in log
    letters = "SELECT count() FROM feedback.dead_letters"
    assert sql.command(letters) == 0
    on = program("stream_workers", engines, tmp_path / "on.log", FEEDBACK_MAX_DEAD_SHARE="1")
    try:
        until(lambda: sql.command(letters) == 200, "they are dead letters because somebody wants it")
        assert on.stop() == 0
    finally:
        on.kill()


def test_a_missing_column_is_told_whole_and_ends_the_worker(engines: Engines, sql: Client, tmp_path: Path) -> None:
    sql.command("ALTER TABLE feedback.dead_letters RENAME COLUMN detail TO details")
    try:
        asyncio.run(send(engines.kafka, [b"not json"]))
        log = ends_with_1(program("stream_workers", engines, tmp_path / "worker.log"))
    finally:
        sql.command("ALTER TABLE feedback.dead_letters RENAME COLUMN details TO detail")
    assert (
        "insert failed, try 5 of 5: its tables are not those of this version (code 16 NO_SUCH_COLUMN_IN_TABLE)" in log
    )
    assert "stream_workers/io/clickhouse_sink.py" in log


def test_a_frozen_clickhouse_is_told_within_seconds_and_waited_for(engines: Engines, tmp_path: Path) -> None:
    (metrics, port) = free_ports(2)
    (tmp_path / "own").mkdir()
    folder = tmp_path / "own" / "clickhouse"
    put_tables(folder)
    with clickhouse_process(folder, port) as own:
        mine = Engines(engines.kafka, keep_address(folder, "127.0.0.1", port), idempotence=False)
        group = {"FEEDBACK_CONSUMER_GROUP": "of-the-frozen", "FEEDBACK_METRICS_PORT": str(metrics)}
        worker = program("stream_workers", mine, tmp_path / "worker.log", FEEDBACK_MAX_DEAD_SHARE="1", **group)
        ready = f"http://127.0.0.1:{metrics}/readyz"
        try:
            until(lambda: requests.get(ready, timeout=5).status_code == 200, "the worker is ready")
            with own.frozen():
                asyncio.run(send(engines.kafka, [b"not json"]))
                until(lambda: "is the engine frozen or overloaded?" in worker.log.read_text(), "it is told", seconds=30)
                assert requests.get(ready, timeout=5).json()["waits_for"] == "an engine"
            until(lambda: requests.get(ready, timeout=5).status_code == 200, "it goes on")
            assert worker.stop() == 0
        finally:
            worker.kill()

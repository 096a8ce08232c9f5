"""What the Kafka that runs from its jars promises: durable, honest about why it does not start, stoppable."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka import jars
from deploy.kafka.broker import KafkaBroker, free_ports, prepare, wait_until_ready
from deploy.kafka.jars import KafkaError, ensure_jars

runnable = shutil.which("java") is not None and shutil.which("mvn") is not None
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        not runnable and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1", reason="needs java and mvn on the PATH"
    ),
]

PARTITION = TopicPartition("events", 0)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One running broker for the tests that leave it running."""
    running = KafkaBroker(tmp_path_factory.mktemp("kafka"), deadline=180)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of the test's own, not started."""
    mine = KafkaBroker(tmp_path / "crashing", deadline=180)
    yield mine
    mine.stop()


@pytest.fixture
def own_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the pom in an empty folder, so that nothing has been fetched yet."""
    pom = tmp_path / "build" / "pom.xml"
    pom.parent.mkdir()
    shutil.copy(jars.POM, pom)
    monkeypatch.setattr(jars, "POM", pom)
    monkeypatch.setattr(jars, "TARGET", pom.with_name("target"))
    monkeypatch.setattr(jars, "LIBS", pom.with_name("target") / "libs")
    return pom


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


async def create_topic(bootstrap: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, values: list[bytes]) -> list[int]:
    """Write values with an idempotent producer; their offsets."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        return [(await producer.send_and_wait("events", value, partition=0)).offset for value in values]


async def consume(bootstrap: str, count: int) -> list[bytes]:
    """Read the next `count` values as the group, and commit them."""
    consumer = AIOKafkaConsumer(
        "events",
        bootstrap_servers=bootstrap,
        group_id="readers",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    async with consumer:
        records = [await consumer.getone() for _ in range(count)]
        # Named, since a consumer that has lost its place in the group meanwhile commits nothing without an error.
        await consumer.commit({PARTITION: records[-1].offset + 1})
    return [record.value for record in records]


async def committed(bootstrap: str) -> int:
    """The group's offset, once the broker has read it back: until then it answers that there is none."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id="readers") as consumer:
        offset = None
        async with asyncio.timeout(60):
            while offset is None:
                offset = await consumer.committed(PARTITION)
        return int(offset)


async def test_an_idempotent_producer_and_a_consumer_group_work(broker: KafkaBroker) -> None:
    await create_topic(broker.bootstrap, "events")
    assert await produce(broker.bootstrap, [b"a", b"b", b"c"]) == [0, 1, 2]
    assert await consume(broker.bootstrap, 2) == [b"a", b"b"]
    assert await committed(broker.bootstrap) == 2
    assert await consume(broker.bootstrap, 1) == [b"c"]


async def test_records_and_committed_offsets_survive_kill_9_and_restarts_on_other_ports_and_on_the_same(
    crashing: KafkaBroker,
) -> None:
    crashing.start()
    await create_topic(crashing.bootstrap, "events")
    await produce(crashing.bootstrap, [b"a", b"b", b"c"])
    await consume(crashing.bootstrap, 2)
    crashing.kill()

    again = KafkaBroker(crashing.data_dir, deadline=180)
    again.start()
    try:
        assert again.port != crashing.port
        assert await committed(again.bootstrap) == 2
        assert await produce(again.bootstrap, [b"d"]) == [3]
        assert await consume(again.bootstrap, 2) == [b"c", b"d"]
        before = again.bootstrap
        again.stop()
        assert again.why_ended() is not None
        again.start()
        assert (again.bootstrap, again.why_ended()) == (before, None), "a stopped broker starts at the same address"
        assert await committed(again.bootstrap) == 4
    finally:
        again.stop()


def test_a_formatting_that_was_interrupted_is_done_again_and_what_kafka_itself_refuses_is_quoted(
    crashing: KafkaBroker,
) -> None:
    prepare(crashing.data_dir, *free_ports(2))
    identity = crashing.data_dir / "log" / "meta.properties"
    identity.unlink()
    crashing.start()
    assert crashing.why_ended() is None
    crashing.kill()
    identity.write_text(identity.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(KafkaError, match="Stored node id 7 doesn't match previous node id 1"):
        crashing.start()


def test_a_port_in_use_is_refused_before_anything_is_written(crashing: KafkaBroker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        crashing.port = taken.getsockname()[1]
        with pytest.raises(KafkaError, match=f"^Port {crashing.port} on 127.0.0.1 is in use: [^.]*\\.$"):
            crashing.start()
    assert not crashing.data_dir.exists()


async def test_a_second_broker_on_a_directory_is_refused_and_the_first_goes_on(broker: KafkaBroker) -> None:
    configured = (broker.data_dir / "server.properties").read_text()
    with pytest.raises(KafkaError, match=r"^Another Kafka is running on .*: stop it or choose another directory\.$"):
        KafkaBroker(broker.data_dir).start()
    assert (broker.data_dir / "server.properties").read_text() == configured
    await wait_until_ready(broker.bootstrap, deadline=5)


def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KafkaError, match="cannot keep its data"):
        KafkaBroker(tmp_path / "file").start()
    with pytest.raises(KafkaError, match="without a comma"):
        KafkaBroker(tmp_path / "a,b").start()


def test_a_jvm_that_dies_at_start_says_why_at_once(crashing: KafkaBroker) -> None:
    for heap, reason in (
        ("64m", "Initial heap size set to a larger value than the maximum heap size"),
        ("lots", "Invalid maximum heap size: -Xmxlots"),
    ):
        crashing.heap = heap
        with pytest.raises(KafkaError, match=f"^Kafka ended with exit code 1: {reason} "):
            crashing.start()


async def test_waiting_for_a_broker_ends_at_its_deadline() -> None:
    [nobody] = free_ports(1)
    with pytest.raises(KafkaError, match=f"127.0.0.1:{nobody} was not ready within 0.2 s"):
        await wait_until_ready(f"127.0.0.1:{nobody}", deadline=0.2)


@pytest.mark.usefixtures("bin_dir")
def test_a_missing_java_is_named(crashing: KafkaBroker) -> None:
    with pytest.raises(KafkaError, match=r"^No java on the PATH: install Java 17 or newer"):
        crashing.start()


@pytest.mark.parametrize(("version", "major"), [("11.0.2", "11"), ("1.8.0_392", "8")])
def test_a_java_that_is_too_old_is_named(crashing: KafkaBroker, bin_dir: Path, version: str, major: str) -> None:
    script(bin_dir / "java", f"echo 'openjdk version \"{version}\"' >&2")
    with pytest.raises(KafkaError, match=f"is Java {major}: Apache Kafka needs Java 17 or newer"):
        crashing.start()


@pytest.mark.usefixtures("own_target", "bin_dir")
def test_a_missing_maven_is_named() -> None:
    with pytest.raises(KafkaError, match=r"^No mvn on the PATH: install Maven"):
        ensure_jars()


def test_maven_runs_once_however_many_ask_and_again_after_a_failure_and_for_another_pom(
    own_target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "counted"
    counted.mkdir()
    script(counted / "mvn", f'echo run >> {tmp_path}/runs\nexec {shutil.which("mvn")} "$@"')
    monkeypatch.setenv("PATH", f"{counted}{os.pathsep}{os.environ['PATH']}")
    whole = own_target.read_text()
    own_target.write_text("<project>")
    failure = r"^Maven could not fetch Apache Kafka's jars: Non-readable POM .*<project>"
    with pytest.raises(KafkaError, match=failure):
        ensure_jars()

    own_target.write_text(whole)
    with ThreadPoolExecutor(3) as threads:
        for asked in [threads.submit(ensure_jars) for _ in range(3)]:
            asked.result()
    assert (tmp_path / "runs").read_text() == "run\n" * 2
    assert list(jars.LIBS.glob("kafka_2.13-4.*.jar"))

    (jars.LIBS / "kafka_2.13-3.0.0.jar").write_text("of an earlier version")
    own_target.write_text(whole + "<!-- changed -->")
    ensure_jars()
    assert (tmp_path / "runs").read_text() == "run\n" * 3
    assert len(list(jars.LIBS.glob("kafka_2.13-*.jar"))) == 1


def test_the_command_says_when_it_is_ready_and_takes_kafka_down_with_it(tmp_path: Path) -> None:
    for stop in (signal.SIGTERM, signal.SIGINT):
        [port] = free_ports(1)
        argv = [sys.executable, "-m", "deploy.kafka", "--port", str(port), "--data-dir", str(tmp_path / "data")]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            try:
                assert running.stdout.readline() == f"Kafka ready on 127.0.0.1:{port}\n"
                running.send_signal(stop)
                assert running.wait(30) == 0, stop
            finally:
                running.kill()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_the_command_says_in_one_line_why_it_cannot_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [sys.executable, "-m", "deploy.kafka", "--port", str(port), "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {port} on 127.0.0.1 is in use")
    assert ended.stderr.count("\n") == 1

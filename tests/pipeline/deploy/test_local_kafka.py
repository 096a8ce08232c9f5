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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.kafka import jars
from deploy.kafka.broker import KafkaBroker, free_ports, prepare, wait_until_ready
from deploy.kafka.jars import KafkaError, ensure_jars
from tests.pipeline.engines import until

runnable = shutil.which("java") is not None and shutil.which("mvn") is not None
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        not runnable and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1", reason="needs java and mvn on the PATH"
    ),
]

PARTITION = TopicPartition("events", 0)


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


@contextmanager
def command(data_dir: Path, port: int, signals: dict[int, Any]) -> Iterator[subprocess.Popen[str]]:
    """`python -m deploy.kafka`, which a shell has started with these signal handlers."""
    argv = [sys.executable, "-m", "deploy.kafka", "--port", str(port), "--data-dir", str(data_dir)]

    def handle() -> None:
        for number, handler in signals.items():
            signal.signal(number, handler)

    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, preexec_fn=handle) as running:
        try:
            yield running
        finally:
            running.kill()


def nobody_listens_on(port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_records_and_committed_offsets_survive_an_interrupted_formatting_kill_9_and_restarts_on_any_port(
    crashing: KafkaBroker,
) -> None:
    prepare(crashing.data_dir, *free_ports(2))
    (crashing.data_dir / "log" / "meta.properties").unlink()
    crashing.start()
    assert crashing.why_ended() is None
    await create_topic(crashing.bootstrap, "events")
    assert await produce(crashing.bootstrap, [b"a", b"b", b"c"]) == [0, 1, 2]
    assert await consume(crashing.bootstrap, 2) == [b"a", b"b"]
    assert await committed(crashing.bootstrap) == 2
    await a_second_is_refused_and_the_first_goes_on(crashing)
    first = crashing.bootstrap
    crashing.kill()
    assert crashing.why_ended() is not None

    [port] = free_ports(1)
    with command(crashing.data_dir, port, {}) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == f"Kafka ready on 127.0.0.1:{port}\n"
        assert await committed(f"127.0.0.1:{port}") == 2
        assert await produce(f"127.0.0.1:{port}", [b"d"]) == [3]
        assert await consume(f"127.0.0.1:{port}", 2) == [b"c", b"d"]
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    nobody_listens_on(port)

    crashing.start()
    assert (crashing.bootstrap, crashing.why_ended()) == (first, None), "it starts at the same address"
    assert await committed(crashing.bootstrap) == 4
    crashing.stop()
    nobody_listens_on(crashing.port)
    a_start_is_ended_by_ctrl_c(crashing.data_dir)
    what_kafka_itself_refuses_is_quoted(crashing)


async def a_second_is_refused_and_the_first_goes_on(broker: KafkaBroker) -> None:
    configured = (broker.data_dir / "server.properties").read_text()
    with pytest.raises(KafkaError, match=r"^Another Kafka is running on .*: stop it or choose another directory\.$"):
        KafkaBroker(broker.data_dir).start()
    assert (broker.data_dir / "server.properties").read_text() == configured
    await wait_until_ready(broker.bootstrap, deadline=5)


def a_start_is_ended_by_ctrl_c(data_dir: Path) -> None:
    """Also that of a command in the background, for which a shell ignores SIGINT. Who starts next sees that the JVM
    has let go of the directory."""
    [port] = free_ports(1)
    with command(data_dir, port, {signal.SIGINT: signal.SIG_IGN}) as running:
        until((data_dir / "log" / ".lock").exists, "the JVM has begun")
        running.send_signal(signal.SIGINT)
        assert running.wait(30) == 0
    nobody_listens_on(port)


def what_kafka_itself_refuses_is_quoted(broker: KafkaBroker) -> None:
    identity = broker.data_dir / "log" / "meta.properties"
    identity.write_text(identity.read_text().replace("node.id=1", "node.id=7"))
    with pytest.raises(KafkaError, match="Stored node id 7 doesn't match previous node id 1"):
        broker.start()


def test_a_port_in_use_is_refused_before_anything_is_written(crashing: KafkaBroker) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        crashing.port = taken.getsockname()[1]
        with pytest.raises(KafkaError, match=f"^Port {crashing.port} on 127.0.0.1 is in use: [^.]*\\.$"):
            crashing.start()
    assert not crashing.data_dir.exists()


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
    with ThreadPoolExecutor(3) as threads:
        for asked in [threads.submit(ensure_jars) for _ in range(3)]:
            asked.result()
    assert (tmp_path / "runs").read_text() == "run\n"
    assert list(jars.LIBS.glob("kafka_2.13-4.*.jar"))

    (jars.LIBS / "kafka_2.13-3.0.0.jar").write_text("of an earlier version")
    own_target.write_text("<project>")
    for runs in (2, 3):
        with pytest.raises(
            KafkaError, match=r"^Maven could not fetch Apache Kafka's jars: Non-readable POM .*<project>"
        ):
            ensure_jars()
        assert (tmp_path / "runs").read_text() == "run\n" * runs
        assert not list(jars.LIBS.glob("*.jar")), "Kafka does not start with jars of two versions"


def test_the_command_says_in_one_line_why_it_cannot_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        argv = [sys.executable, "-m", "deploy.kafka", "--port", str(port), "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Port {port} on 127.0.0.1 is in use")
    assert ended.stderr.count("\n") == 1

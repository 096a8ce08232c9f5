"""Real engines for pipeline tests, from three sources: embedded, Apache Kafka from its jars, testcontainers.

Each source promises a Kafka and a ClickHouse that are empty when the test session starts, with topics created and
migrations applied. `kafka` needs Java and Maven; `containers` a Docker engine that answers.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

from deploy.embedded import broker as embedded_broker
from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka.broker import KafkaBroker, free_ports
from operations.migrate import migrate
from operations.topics import create_topics
from runtime.clickhouse_address import ADDRESS_FILE
from tests.pipeline.forked import Forked

REPOSITORY = Path(__file__).parents[2]
PARTITIONS = 4


@dataclass
class Engines:
    """Where a pipeline finds its Kafka and its ClickHouse."""

    kafka: str
    clickhouse: str
    idempotence: bool
    clickhouse_process: "Process | None" = None
    """Where a test may freeze it."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FEEDBACK_KAFKA_BOOTSTRAP": self.kafka,
            "FEEDBACK_CLICKHOUSE_URL": self.clickhouse,
            "FEEDBACK_KAFKA_IDEMPOTENCE": str(self.idempotence).lower(),
        }

    def prepare(self) -> None:
        asyncio.run(create_topics(self.kafka, PARTITIONS))
        migrate(self.clickhouse)


class Process:
    """A child of the test with its output in a file."""

    def __init__(self, argv: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self._argv, self._environment = argv, {**os.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        self._process: subprocess.Popen[bytes] | Forked
        if self._argv[:2] == [sys.executable, "-m"]:
            self._process = Forked(self._argv, self.log, self._environment, REPOSITORY)
            return
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._argv, env=self._environment, cwd=REPOSITORY, stdout=output, stderr=output
            )

    @property
    def running(self) -> bool:
        return self.ended_with is None

    @property
    def ended_with(self) -> int | None:
        return self._process.poll()

    @property
    def pid(self) -> int:
        return self._process.pid

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A process whose connections stay open and that does and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)
        until(self._has_stopped, "the process stops")  # it goes on for a moment after the signal
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _has_stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code."""
        return self._process.wait(30)

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        self._process.kill()
        self._process.wait()


def until(condition: Callable[[], object], what: str, seconds: float = 180) -> None:
    """Wait until the condition holds; fail naming what did not come to be. Long, for machines that stall."""
    began = time.monotonic()
    while True:
        outcome: object
        looked = time.monotonic()
        try:
            outcome = condition()
        except OSError as error:
            outcome, problem = None, f" ({error})"
        else:
            problem = f" (last seen: {outcome!r})"
        if outcome:
            return
        now = time.monotonic()
        if now - began > seconds:
            pytest.fail(f"not within {seconds:g} s: {what}{problem}")
        # What is waited for needs the cores more than looking does: dear looks are rarer, and those of long waits.
        time.sleep(min(max(0.05, now - looked, (now - began) / 20), 0.5))


def answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as reply:
        return bool(reply.status == 200)


@contextmanager
def clickhouse_front(folder: Path, port: int) -> Iterator[str]:
    """chDB behind its HTTP front, in a process of its own; its address with the password."""
    with clickhouse_process(folder, port):
        yield keep_address(folder, "127.0.0.1", port)


@contextmanager
def clickhouse_with_tables(folder: Path) -> Iterator[str]:
    """Such a front with every table and no row, on a port of its own; its address with the password."""
    (port,) = free_ports(1)
    put_tables(folder)
    with clickhouse_front(folder, port) as address:
        yield address


def put_tables(folder: Path) -> None:
    """Have this ClickHouse folder, which is new, hold what `feedback migrate` makes; its password is its own."""
    shutil.copytree(_prepared(), folder, symlinks=True, ignore=shutil.ignore_patterns(ADDRESS_FILE))


@cache
def _prepared() -> Path:
    """A folder with the tables, made once for all test processes: to migrate takes half a second of CPU. It is
    named after all that the tables are made from."""
    digest = hashlib.sha256(version("chdb-core").encode())
    for source in [
        *sorted((REPOSITORY / "deploy" / "clickhouse").glob("*.sql")),
        REPOSITORY / "operations" / "migrate.py",
    ]:
        digest.update(source.name.encode() + source.read_bytes())
    kept = REPOSITORY / ".pytest_cache" / "tables"
    kept.mkdir(parents=True, exist_ok=True)
    folder = kept / digest.hexdigest()[:16]
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = kept / "draft"
            shutil.rmtree(draft, ignore_errors=True)
            (port,) = free_ports(1)
            with clickhouse_front(draft, port) as address:
                migrate(address)
            draft.rename(folder)
    return folder


@contextmanager
def clickhouse_process(folder: Path, port: int) -> Iterator[Process]:
    """The process of such a front."""
    argv = [sys.executable, "-m", "deploy.embedded.clickhouse_http", "--port", str(port), "--data-dir", str(folder)]
    process = Process(argv, folder.with_suffix(".log"))
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/ping"), "the ClickHouse front answers")
        yield process
    finally:
        process.kill()


@contextmanager
def embedded(folder: Path) -> Iterator[Engines]:
    kafka_port, clickhouse_port = free_ports(2)
    bootstrap = f"127.0.0.1:{kafka_port}"
    broker = Process(embedded_broker.command("127.0.0.1", kafka_port), folder / "broker.log")
    try:
        put_tables(folder / "clickhouse")
        with clickhouse_process(folder / "clickhouse", clickhouse_port) as process:
            clickhouse = keep_address(folder / "clickhouse", "127.0.0.1", clickhouse_port)
            asyncio.run(embedded_broker.wait_until_ready(bootstrap))
            yield Engines(bootstrap, clickhouse, idempotence=False, clickhouse_process=process)
    finally:
        broker.kill()


@contextmanager
def kafka(folder: Path) -> Iterator[Engines]:
    missing = [tool for tool in ("java", "mvn") if not shutil.which(tool)]
    if missing and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1":
        pytest.skip(f"{' and '.join(missing)} not found")
    broker = KafkaBroker(folder / "kafka", deadline=180)  # for machines that stall
    broker.start()
    try:
        with clickhouse_with_tables(folder / "clickhouse") as clickhouse:
            yield Engines(broker.bootstrap, clickhouse, idempotence=True)
    finally:
        broker.kill()


@contextmanager
def containers(folder: Path) -> Iterator[Engines]:
    import docker
    from testcontainers.community.clickhouse import ClickHouseContainer
    from testcontainers.community.kafka import KafkaContainer

    try:
        docker.from_env().ping()
    except docker.errors.DockerException:
        pytest.skip("no Docker engine answers")
    with (
        KafkaContainer("confluentinc/cp-kafka:8.0.0").with_kraft() as broker,
        ClickHouseContainer("clickhouse/clickhouse-server:26.8", username="feedback", password="feedback") as store,
    ):
        address = f"{store.get_container_host_ip()}:{store.get_exposed_port(8123)}"
        yield Engines(broker.get_bootstrap_server(), f"http://feedback:feedback@{address}", idempotence=True)


SOURCES = {"embedded": embedded, "kafka": kafka, "containers": containers}

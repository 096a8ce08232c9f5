"""The engines of a benchmark: the embedded broker and ClickHouse on free ports, pinned away from what is measured."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import broker as embedded
from deploy.embedded.clickhouse_address import keep_address
from deploy.kafka import broker as kafka
from deploy.kafka.broker import free_ports
from operations.migrate import migrate
from operations.topics import create_topics

REPOSITORY = Path(__file__).parents[1]
PARTITIONS = 8
MEASURED_CORE, OTHER_CORE = 0, (os.cpu_count() or 1) - 1


@dataclass(frozen=True)
class Engines:
    kafka: str
    clickhouse: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "FEEDBACK_KAFKA_BOOTSTRAP": self.kafka,
            "FEEDBACK_KAFKA_IDEMPOTENCE": "false",
            "FEEDBACK_CLICKHOUSE_URL": self.clickhouse,
        }


@dataclass(frozen=True)
class Child:
    """A running process and the file its output goes to."""

    pid: int
    log: Path

    @property
    def cpu_seconds(self) -> float:
        """User and system time spent so far, of all its threads."""
        spent = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, spent)) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_mb(self) -> float:
        """Memory it holds at this moment, in MB of 10^6 bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def says(self, words: str) -> bool:
        return words in self.log.read_text(errors="replace")

    @property
    def ended(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def terminate(self, patience: float = 30) -> None:
        """SIGTERM, and wait until it has ended; RuntimeError if it has not after so many seconds."""
        os.kill(self.pid, signal.SIGTERM)
        until(lambda: self.ended, "the program has ended", patience)


@contextmanager
def running(argv: list[str], core: int | None = None, environment: dict[str, str] | None = None) -> Iterator[Child]:
    """A child, pinned to a core where one is named, killed at the end."""
    pinned = ["taskset", "-c", str(core)] if core is not None and shutil.which("taskset") else []
    with tempfile.NamedTemporaryFile(suffix=".log") as output:
        child = subprocess.Popen(
            [*pinned, *argv],
            stdout=output,
            stderr=output,
            cwd=REPOSITORY,
            env={**os.environ, **(environment or {})},
        )
        try:
            yield Child(child.pid, Path(output.name))
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


@contextmanager
def process(argv: list[str], core: int | None = None, environment: dict[str, str] | None = None) -> Iterator[Path]:
    """A child as above; yields the file its output goes to."""
    with running(argv, core, environment) as child:
        yield child.log


def stand_aside() -> None:
    """Keep this process off the core that is measured."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {OTHER_CORE})


@contextmanager
def engines(*, pinned: bool = True, apache: bool = False) -> Iterator[Engines]:
    """A broker with topics and a migrated ClickHouse, empty; pinned, they share the core that is not measured.

    The broker is the embedded one, or Apache Kafka where that is asked for.
    """
    core = OTHER_CORE if pinned else None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that no child outlives this process
    kafka_port, clickhouse_port = free_ports(2)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clickhouse = keep_address(folder / "clickhouse", "127.0.0.1", clickhouse_port)
        found = Engines(f"127.0.0.1:{kafka_port}", clickhouse)
        if apache:
            kafka.prepare(folder / "kafka", kafka_port, *free_ports(1))
            stack.enter_context(process(kafka.command(folder / "kafka"), core))
        else:
            stack.enter_context(process(embedded.command("127.0.0.1", kafka_port), core))
        front = ["-m", "deploy.embedded.clickhouse_http", "--port", str(clickhouse_port), "--data-dir"]
        stack.enter_context(process([sys.executable, *front, str(folder / "clickhouse")], core))
        asyncio.run((kafka if apache else embedded).wait_until_ready(found.kafka))
        until(lambda: answers(f"http://127.0.0.1:{clickhouse_port}/ping"), "ClickHouse answers")
        asyncio.run(create_topics(found.kafka, PARTITIONS))
        migrate(found.clickhouse)
        yield found


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as reply:
        return bool(reply.status == 200)
    return False


def until(
    condition: Callable[[], bool], what: str, seconds: float = 600, *, pause: float = 0.02, child: Child | None = None
) -> None:
    """Wait until the condition holds; RuntimeError naming what did not come to be, at once if the child has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if child and child.ended:
            raise RuntimeError(f"the program has ended before {what}:\n{child.log.read_text(errors='replace')[-3000:]}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)

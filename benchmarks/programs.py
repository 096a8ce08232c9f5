"""The programs that are measured, started as a user starts them, and the rate at which rows of theirs appear."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import clickhouse_connect

from benchmarks.engines import MEASURED_CORE, REPOSITORY, Child, Engines, answers, running, until
from deploy.kafka.broker import free_ports

QUIX_PYTHON = REPOSITORY / ".venv" / "quix" / "bin" / "python"
SESSION = {"FEEDBACK_SESSION_TIMEOUT_S": "6"}  # the embedded broker lets a group wait for half of it
WARM_UP, WINDOW_END = 0.2, 0.8


@dataclass(frozen=True)
class Rate:
    """Rows per second in a window, and the CPU microseconds the program spent on each."""

    per_second: float
    cpu_us: float


@contextmanager
def worker(found: Engines, **settings: str) -> Iterator[Child]:
    """Our worker on the measured core, its partitions assigned."""
    (port,) = free_ports(1)
    argv = [sys.executable, "-m", "stream_workers"]
    settings = {"FEEDBACK_METRICS_PORT": str(port), **SESSION, **settings}
    with running(argv, MEASURED_CORE, {**found.environment, **settings}) as child:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the worker is ready", child=child)
        yield child


@contextmanager
def plain_faust(found: Engines, requests: int, state_dir: str) -> Iterator[Child]:
    """The Faust peer, all requests read."""
    argv = [sys.executable, "-m", "benchmarks.plain_faust", "-L", "uvloop", "worker", "--without-web", "-l", "warn"]
    yield from _peer(argv, found, requests, state_dir)


@contextmanager
def quix_streams(found: Engines, requests: int, state_dir: str) -> Iterator[Child]:
    """The Quix Streams peer, all requests read."""
    if not QUIX_PYTHON.exists():
        sys.exit("Quix Streams is not installed: make .venv/.quix")
    yield from _peer([str(QUIX_PYTHON), "-m", "benchmarks.quix_streams"], found, requests, state_dir)


def _peer(argv: list[str], found: Engines, requests: int, state_dir: str) -> Iterator[Child]:
    # Rows appear at checkpoints: ten of them, so that the window ends before the last, which waits for its time.
    checkpoint = str(min(10_000, max(1, requests // 10)))
    settings = {"PEER_REQUESTS": str(requests), "PEER_STATE_DIR": state_dir, "PEER_COMMIT_EVERY": checkpoint}
    with running(argv, MEASURED_CORE, {**found.environment, **settings}) as child:
        until(lambda: child.says("requests read"), "the peer has read the requests", child=child)
        yield child


def counter(found: Engines, table: str) -> Callable[[], int]:
    """Rows of a table that one writer inserts each once; 0 while there is none."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)
    statement = f"SELECT sum(rows) FROM system.parts WHERE active AND concat(database, '.', table) = '{table}'"
    return lambda: int(client.command(statement) or 0)


def steady_rate(child: Child, rows: Callable[[], int], count: int) -> Rate:
    """The rate from the first fifth of `count` rows, for warming up, until four fifths."""
    before, began, cpu = rows(), time.perf_counter(), child.cpu_seconds
    first = before
    until(lambda: rows() - before >= count * WARM_UP, "rows appear", pause=0.05, child=child)
    warm = rows()
    if warm - before < count * WINDOW_END:  # else most of it was there at once: too few to warm up
        began, first, cpu = time.perf_counter(), warm, child.cpu_seconds
    until(lambda: rows() - before >= count * WINDOW_END, "most rows are there", pause=0.05, child=child)
    seconds, last, spent = time.perf_counter() - began, rows(), child.cpu_seconds - cpu
    return Rate((last - first) / seconds, spent / (last - first) * 1e6)

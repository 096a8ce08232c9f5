"""The reads of a hot trace beside the same of ordinary ones: SQL through each view, the receipt, and the rollups."""

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol

import clickhouse_connect

from benchmarks.engines import OTHER_CORE, Engines, answers, running, until
from benchmarks.events import WORKSPACE, Clock, Event
from deploy.kafka.broker import free_ports
from stream_workers.rollup.rollups import Hour, compute


class Load(Protocol):
    """What was sent."""

    @property
    def feedback(self) -> list[Event]: ...

    @property
    def traces(self) -> list[str]: ...

    @property
    def at(self) -> Clock: ...


ALL_FEEDBACK = "SELECT count(), sum(value * weight), uniqExact(feedback_id) FROM feedback.feedback WHERE {where}"
ALL_REQUESTS = (
    "SELECT count(), uniqExact(request_id), sum(length(request_body)) FROM feedback.request_logs WHERE {where}"
)
NUMBERS = "SELECT * FROM feedback.trace_aggregates WHERE workspace = 'default' AND trace_id = '{trace}'"
BUCKET = (
    "SELECT dimension, sum(feedback_count), sum(value_weight_sum) FROM feedback.rollups"
    " WHERE workspace = 'default' AND period = 'hour' AND start = toDateTime({hour}, 'UTC') GROUP BY dimension"
)


def measure(found: Engines, ordinary: Load, hot: Load, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds of each read of each kind; one more round than is kept, to warm up."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse, query_limit=0)
    with ExitStack() as stack:
        (port,) = free_ports(1)
        settings = {**found.environment, "FEEDBACK_PORT": str(port)}
        stack.enter_context(running([sys.executable, "-m", "deploy.api"], OTHER_CORE, settings))
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the edge is ready")
        took: dict[str, dict[str, list[float]]] = {}
        for kind, load in (("ordinary", ordinary), ("hot", hot)):
            for name, read in _reads(found, client, port, load).items():
                times = [_ms(read) for _ in range(rounds + 1)][1:]
                took.setdefault(name, {})[kind] = times
    return took


def _reads(found: Engines, client: Any, port: int, load: Load) -> dict[str, Callable[[], object]]:
    some, trace = json.loads(load.feedback[-1].value), load.traces[-1]
    hour = load.at.ms // 3_600_000 * 3600
    listed = ", ".join(f"'{each}'" for each in load.traces)
    where = f"workspace = '{WORKSPACE}' AND trace_id IN ({listed})"
    receipt = f"http://127.0.0.1:{port}/v1/feedback/{some['feedback_id']}"
    return {
        "all feedback by trace": lambda: client.query(ALL_FEEDBACK.format(where=where)),
        "all request logs by trace": lambda: client.query(ALL_REQUESTS.format(where=where)),
        "aggregate of a trace": lambda: client.query(NUMBERS.format(trace=trace)),
        "receipt of a feedback": lambda: _receipt(receipt),
        "an hour of rollups computed": lambda: asyncio.run(_compute(found, hour)),
        "an hour of rollups": lambda: client.query(BUCKET.format(hour=hour)),
    }


def _receipt(url: str) -> None:
    with urllib.request.urlopen(url, timeout=30) as reply:
        if json.load(reply)["status"] != "stored":
            raise RuntimeError(f"{url} is not stored")


async def _compute(found: Engines, hour: int) -> None:
    client = await clickhouse_connect.get_async_client(dsn=found.clickhouse, autogenerate_session_id=False)
    await compute(client, [Hour(WORKSPACE, hour)])
    await client.close()


def _ms(read: Callable[[], object]) -> float:
    began = time.perf_counter()
    read()
    return (time.perf_counter() - began) * 1000

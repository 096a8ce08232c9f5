"""How many feedbacks a second a worker joins, stores and publishes: `python -m benchmarks.worker [--events N]`.

Side by side in one run, each on one core with the engines on another: our worker; a plain Faust app that does the same
job a record at a time; and the limit, a bare consumer that inserts ready-made rows for all our tables.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

import clickhouse_connect
from aiokafka import AIOKafkaProducer

from benchmarks.engines import MEASURED_CORE, PARTITIONS, Engines, engines, process, until
from schemas import ids, topics

PEER_EVENTS = 5_000
Event = tuple[str, bytes, int, dict[str, Any]]


def events(count: int) -> tuple[list[Event], list[Event]]:
    """One request and one feedback for each of `count` traces."""
    now = datetime.now(UTC)
    at, at_ms = now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), int(now.timestamp() * 1000)
    requests, feedback = [], []
    for n in range(count):
        trace_id = f"trace-{at_ms}-{n}"
        key = ids.trace_key("default", trace_id)
        trace_hash = ids.murmur2(key)
        common = {"workspace": "default", "trace_id": trace_id}
        request = {
            "event": "request", "request_id": str(ids.new_id(trace_hash, at_ms)), **common, "provider": "openai",
            "model": f"model-{n % 5}", "total_tokens": 57, "metadata": {"_user": f"u{n % 1000}"},
            "_user": f"u{n % 1000}", "request_body": {"model": f"model-{n % 5}"}, "response_body": {},
            "started_at": at, "received_at": at,
        }  # fmt: skip
        tags = {"_organisation": f"o{n % 40}", "_environment": "production"}
        given = {
            "event": "create", "feedback_id": str(ids.new_id(trace_hash, at_ms)), **common, "value": n % 21 - 10,
            "weight": 0.5, "metadata": {"text": "title was irrelevant", **tags}, **tags,
            "home_environment": "production", "created_at": at,
        }  # fmt: skip
        requests.append((topics.REQUEST_LOGS, key, trace_hash, request))
        feedback.append((topics.FEEDBACK_EVENTS, key, trace_hash, given))
    return requests, feedback


async def produce(bootstrap: str, batch: list[Event]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 19, linger_ms=5)
    await producer.start()
    waiting = [
        await producer.send(
            topic, json.dumps(event).encode(), key=key, partition=ids.partition_of(trace_hash, PARTITIONS)
        )
        for topic, key, trace_hash, event in batch
    ]
    await asyncio.gather(*waiting)
    await producer.stop()


def measure(found: Engines, count: int) -> dict[str, float]:
    """Feedback a second: ours with a cold cache, the limit, and the peer."""
    client: Any = clickhouse_connect.get_client(dsn=found.clickhouse)

    def stored(kind: str) -> int:
        return int(client.command(f"SELECT count() FROM feedback.trace_journal WHERE kind = '{kind}'"))

    requests, feedback = events(count)
    asyncio.run(produce(found.kafka, requests))
    with worker(found):
        until(lambda: stored("request") == count, "requests are stored")
    asyncio.run(produce(found.kafka, feedback))
    with worker(found):
        ours = rate(lambda: stored("feedback"), count)
    return {"ours, cold cache": ours, "limit": bare_consumer(found, count), "plain Faust": plain_faust(found, client)}


def bare_consumer(found: Engines, count: int) -> float:
    argv = [sys.executable, "-m", "benchmarks.bare_consumer", str(count)]
    with process(argv, MEASURED_CORE, found.environment) as log:
        until(lambda: "rate" in log.read_text(), "the bare consumer is done")
        return float(log.read_text().split()[-1])


def plain_faust(found: Engines, client: Any) -> float:
    argv = [sys.executable, "-m", "benchmarks.plain_faust", "worker", "-l", "warn"]
    with process(argv, MEASURED_CORE, found.environment) as log:
        until(lambda: "peer ready" in log.read_text(), "the peer is ready", seconds=60)
        return rate(lambda: int(client.command("SELECT count() FROM peer_feedback")), PEER_EVENTS)


def rate(stored: Callable[[], int], count: int) -> float:
    """Per second, from the first stored row until `count` are."""
    until(lambda: stored() > 0, "work begins")
    begun, first = time.perf_counter(), stored()
    until(lambda: stored() >= count, "all are stored")
    return (count - first) / (time.perf_counter() - begun)


class worker:  # noqa: N801 - reads as what it is
    """A worker process on the measured core, ready when entered."""

    def __init__(self, found: Engines, **environment: str) -> None:
        self._process = process(
            [sys.executable, "-m", "stream_workers"], MEASURED_CORE, {**found.environment, **environment}
        )

    def __enter__(self) -> None:
        log = self._process.__enter__()
        until(lambda: "worker ready" in log.read_text(), "the worker is ready")

    def __exit__(self, *error: Any) -> None:
        self._process.__exit__(*error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with engines() as found:
            rounds.append(measure(found, options.events))
    figures = {name: median(each[name] for each in rounds) for name in rounds[0]}
    for name, figure in figures.items():
        print(f"{name:36} {figure:10,.0f}/s   {figure / figures['limit']:.2f} of the limit")


if __name__ == "__main__":
    main()

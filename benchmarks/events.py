"""Events as the edge accepts them, ready to be sent, and a producer that sends many of them at once.

One batch per partition is built before the clock starts, so that a backlog stands within a second or two and no program
is measured while it waits for its input.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from benchmarks.engines import PARTITIONS
from schemas import ids, topics
from schemas.murmur2 import murmur2

WORKSPACE = "default"


class Event(NamedTuple):
    """One record of an input topic."""

    topic: str
    key: bytes
    trace_hash: int
    value: bytes

    @property
    def partition(self) -> int:
        return ids.partition_of(self.trace_hash, PARTITIONS)


class Clock(NamedTuple):
    """One moment as events carry it."""

    text: str
    ms: int

    @classmethod
    def now(cls) -> "Clock":
        return cls.before(hours=0)

    @classmethod
    def before(cls, hours: int) -> "Clock":
        """That many hours before now."""
        at = datetime.now(UTC) - timedelta(hours=hours)
        return cls(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), int(at.timestamp() * 1000))


def request(trace_id: str, n: int, at: Clock) -> Event:
    """The log of one request; `n` chooses its model and user."""
    key, trace_hash = _key(trace_id)
    event = {
        "event": "request", "workspace": WORKSPACE, "request_id": str(ids.new_id(trace_hash, at.ms)),
        "trace_id": trace_id, "provider": "openai", "model": f"model-{n % 5}", "total_tokens": 57,
        "metadata": {"_user": f"u{n % 1000}"}, "_user": f"u{n % 1000}",
        "request_body": {"model": f"model-{n % 5}"}, "response_body": {}, "started_at": at.text, "received_at": at.text,
    }  # fmt: skip
    return Event(topics.REQUEST_LOGS, key, trace_hash, json.dumps(event).encode())


def feedback(trace_id: str, n: int, at: Clock) -> Event:
    """One feedback; `n` chooses its value and organisation."""
    key, trace_hash = _key(trace_id)
    tags = {"_organisation": f"o{n % 40}", "_environment": "production"}
    event: dict[str, Any] = {
        "event": "create", "workspace": WORKSPACE, "feedback_id": str(ids.new_id(trace_hash, at.ms)),
        "trace_id": trace_id, "value": n % 21 - 10, "weight": 0.5,
        "metadata": {"text": "title was irrelevant", **tags}, **tags, "home_environment": "production",
        "created_at": at.text,
    }  # fmt: skip
    return Event(topics.FEEDBACK_EVENTS, key, trace_hash, json.dumps(event).encode())


def on_traces(count: int) -> tuple[list[Event], list[Event]]:
    """One request and one feedback for each of `count` traces."""
    at = Clock.now()
    traces = [f"trace-{at.ms}-{n}" for n in range(count)]
    return [request(t, n, at) for n, t in enumerate(traces)], [feedback(t, n, at) for n, t in enumerate(traces)]


def send(bootstrap: str, events: Iterable[Event]) -> None:
    """Send the events, in their order within each partition; returns when all are acknowledged."""
    asyncio.run(_send(bootstrap, list(events)))


async def _send(bootstrap: str, events: Sequence[Event]) -> None:
    by_partition: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in events:
        by_partition[event.topic, event.partition].append(event)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 19)
    await producer.start()
    waiting: list[Any] = []
    try:
        for (topic, partition), batch in by_partition.items():
            builder = producer.create_batch()
            for event in batch:
                if builder.append(key=event.key, value=event.value, timestamp=None) is None:
                    waiting.append(await producer.send_batch(builder, topic, partition=partition))
                    builder = producer.create_batch()
                    builder.append(key=event.key, value=event.value, timestamp=None)
            waiting.append(await producer.send_batch(builder, topic, partition=partition))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()


def _key(trace_id: str) -> tuple[bytes, int]:
    key = ids.trace_key(WORKSPACE, trace_id)
    return key, murmur2(key)

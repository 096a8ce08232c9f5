"""An Idempotency-Key belongs to one call, even if several workers claim it at the same moment, in a real ClickHouse."""

import asyncio
import json
from collections import defaultdict
from typing import Any

import clickhouse_connect
from aiokafka.structs import ConsumerRecord

from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from stream_workers.batches.app import RealEngines
from stream_workers.batches.offset_progress import ConsumerBatch
from stream_workers.batches.processor import Processor
from stream_workers.io.output_messages import OutputMessage
from stream_workers.io.output_producer import OutputProducer
from stream_workers.join.trace_cache import TraceCache
from tests.unit.stream_workers.test_processor import batch_of, run_stages

WORKERS, KEYS, CALLS = 6, 40, 3


class WithoutKafka(RealEngines):
    """Engines that store, and publish nothing."""

    async def publish(self, messages: list[OutputMessage]) -> None:
        pass


def batch_for(worker: int) -> ConsumerBatch:
    """A batch with each call's item in this worker's partition; each worker reads those of a key in another order."""
    events = [item(worker, f"key-{key}", (call + worker) % CALLS) for key in range(KEYS) for call in range(CALLS)]
    return batch_of(
        [
            ConsumerRecord(FEEDBACK_EVENTS, worker, n, 0, 0, b"", json.dumps(event).encode(), None, 0, 0, ())
            for n, event in enumerate(events)
        ]
    )


def item(worker: int, key: str, call: int) -> dict[str, Any]:
    trace_id = f"{worker}-{key}-{call}"
    identity = ids.idempotent_id(murmur2(ids.trace_key("w", trace_id)), "w", key, worker)
    return {
        "event": "create", "workspace": "w", "trace_id": trace_id, "feedback_id": str(identity), "value": call,
        "weight": 1, "metadata": {}, "created_at": "2026-11-22T21:43:29.406Z", "idempotency_key": key,
        "idempotency_digest": f"{call:032}",
    }  # fmt: skip


async def test_of_calls_under_one_key_one_is_stored_whole_and_the_others_are_dead(url: str) -> None:
    async def work(number: int) -> None:
        engines = WithoutKafka(await clickhouse_connect.get_async_client(dsn=url), OutputProducer("", idempotent=False))
        processor = Processor(engines, TraceCache(1_000_000), lambda _: False)
        await run_stages(processor, batch_for(number))
        await engines.clickhouse.close()

    await asyncio.gather(*map(work, range(WORKERS)))
    client = clickhouse_connect.get_client(dsn=url)
    calls: dict[str, list[int]] = defaultdict(list)
    for trace_id, value in client.query("SELECT trace_id, value FROM feedback.feedback").result_rows:
        calls[trace_id.split("-", 1)[1].rsplit("-", 1)[0]].append(value)
    assert len(calls) == KEYS
    assert {(len(values), len(set(values))) for values in calls.values()} == {(WORKERS, 1)}, (
        "of each key one call, whole"
    )
    dead = client.query("SELECT reason, count() FROM feedback.dead_letters GROUP BY ALL").result_rows
    assert dead == [("idempotency_key_reused", WORKERS * KEYS * (CALLS - 1))]

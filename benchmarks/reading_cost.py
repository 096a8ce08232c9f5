"""What the tables cost whoever writes them: ClickHouse's CPU and disk for batches as a worker stores them."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import clickhouse_connect
import pyarrow as pa
from aiokafka.structs import ConsumerRecord

from benchmarks.engines import Child, until
from benchmarks.events import Event, on_traces
from stream_workers.io.arrow_rows import tables
from stream_workers.io.clickhouse_sink import store
from stream_workers.join.decode import decode
from stream_workers.join.trace_join import apply
from stream_workers.join.trace_state import HashBucket

EVENTS_PER_BATCH = 4000


@dataclass(frozen=True)
class Cost:
    """CPU of ClickHouse with the merges that follow, and what stands on the disk in the end, by event."""

    cpu_us: float
    disk_bytes: float


def costs(engine: Child, client: Any, address: str, batches: int) -> dict[str, Cost]:
    """Of a request and of a feedback: so many batches of requests, then their feedback, into empty tables."""
    requests, feedback = on_traces(batches * EVENTS_PER_BATCH)
    state: dict[int, HashBucket] = defaultdict(HashBucket)
    found = {}
    for name, events in (("request", requests), ("feedback", feedback)):
        starts = range(0, len(events), EVENTS_PER_BATCH)
        made = [_rows(state, events[start : start + EVENTS_PER_BATCH], start) for start in starts]
        cpu, disk = engine.cpu_seconds, disk_of(client)
        asyncio.run(_store(address, made))
        no_merges(client)
        found[name] = Cost(
            (engine.cpu_seconds - cpu) / len(events) * 1e6,
            (disk_of(client) - disk) / len(events),
        )
    return found


def no_merges(client: Any) -> None:
    """Returns when nothing is being merged."""
    until(lambda: not int(client.command("SELECT count() FROM system.merges")), "merges are done", 3600, pause=0.3)


async def _store(address: str, batches: list[dict[str, pa.Table]]) -> None:
    client = await clickhouse_connect.get_async_client(dsn=address, autogenerate_session_id=False)
    try:
        for rows in batches:
            await store(client, rows)
    finally:
        await client.close()


def _rows(state: dict[int, HashBucket], events: list[Event], offset: int) -> dict[str, pa.Table]:
    """What a worker stores of one consumer batch."""
    arrivals, faults = decode([_record(each, offset + n) for n, each in enumerate(events)], 0)
    assert not faults
    return tables(apply({each.trace_hash: state[each.trace_hash] for each in arrivals}, arrivals, {}))


def _record(event: Event, offset: int) -> ConsumerRecord:
    sizes = len(event.key), len(event.value)
    return ConsumerRecord(event.topic, event.partition, offset, 0, 0, event.key, event.value, None, *sizes, ())


def disk_of(client: Any) -> int:
    """Bytes of all tables."""
    return int(client.command("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'feedback'"))

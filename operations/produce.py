"""Sends many records to Kafka, each to the partition of its trace."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from operations.progress import Progress
from runtime.times import rfc3339_of
from schemas import ids
from schemas.topics import FEEDBACK_EVENTS

_AT_ONCE = 500


class OutgoingRecord(NamedTuple):
    """A record about a trace; one without a value is a tombstone."""

    topic: str
    trace_hash: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def invalidation(workspace: str, trace_hash: int) -> OutgoingRecord:
    """The event that makes the workers read the state of these traces anew, and write and publish all of it again."""
    now = datetime.now(UTC)
    event_id = str(ids.new_id(trace_hash, int(now.timestamp() * 1000)))
    event = {"event": "forget", "workspace": workspace, "feedback_id": event_id, "forgotten_at": rfc3339_of(now)}
    return OutgoingRecord(FEEDBACK_EVENTS, trace_hash, event_id.encode(), msgspec.json.encode(event))


async def send(bootstrap: str, records: Sequence[OutgoingRecord], what: str, progress: Progress) -> None:
    """Send all and wait until the broker has acknowledged them. KafkaError."""
    if not records:
        return
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        with progress.step(what, len(records)) as advance:
            for first in range(0, len(records), _AT_ONCE):
                some = records[first : first + _AT_ONCE]
                await asyncio.gather(*[await _send(producer, each) for each in some])
                advance(len(some))
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, record: OutgoingRecord) -> asyncio.Future[RecordMetadata]:
    partitions = len(await producer.partitions_for(record.topic))
    partition = ids.partition_of(record.trace_hash, partitions)
    return await producer.send(
        record.topic, record.value, key=record.key, partition=partition, headers=list(record.headers)
    )

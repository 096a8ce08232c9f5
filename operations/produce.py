"""Sends many records to Kafka, each to the partition of its trace."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from operations.progress import Progress
from schemas import ids

_AT_ONCE = 500


class OutgoingRecord(NamedTuple):
    """A record about a trace; one without a value is a tombstone."""

    topic: str
    trace_hash: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


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

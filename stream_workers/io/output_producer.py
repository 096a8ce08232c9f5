"""Publishes the messages of a consumer batch: one record batch per partition, acknowledged by all replicas.

Sending record by record costs more than making the messages; a record batch per partition costs little. `publish`
returns only when the broker has acknowledged everything. After a failure some messages are published; publishing all of
them again is harmless, because each message has a version.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from schemas.ids import partition_of
from schemas.murmur2 import murmur2
from stream_workers.io.output_messages import OutputMessage


class ProducerEndedError(RuntimeError):
    """The producer's sender task has ended, so it sends nothing any more."""


class OutputProducer:
    """A Kafka producer for the output topics."""

    def __init__(self, bootstrap: str, *, idempotent: bool) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            acks="all",
            enable_idempotence=idempotent,
            max_batch_size=1 << 20,
            max_request_size=8 << 20,
            request_timeout_ms=30_000,
        )

    async def start(self) -> None:
        await self._producer.start()

    async def stop(self) -> None:
        await self._producer.stop()

    async def publish(self, messages: Iterable[OutputMessage]) -> None:
        """Publish and wait for every acknowledgement. Raises the broker's error."""
        by_partition: dict[tuple[str, int], list[OutputMessage]] = defaultdict(list)
        for message in messages:
            partition = message.partition
            if partition is None:
                partition = partition_of(murmur2(message.key), len(await self._producer.partitions_for(message.topic)))
            by_partition[message.topic, partition].append(message)
        deliveries: list[asyncio.Future[RecordMetadata]] = []
        for (topic, partition), batch in by_partition.items():
            for records in self._batches(batch):
                deliveries.append(await self._producer.send_batch(records, topic, partition=partition))
        await self._delivered(asyncio.gather(*deliveries))

    async def _delivered(self, deliveries: "asyncio.Future[list[RecordMetadata]]") -> None:
        """Wait for deliveries; ProducerEndedError if the sender task has ended, which nothing else would report."""
        sender = self._producer._sender.sender_task
        try:
            either: set[asyncio.Future[Any]] = {deliveries, sender}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not deliveries.done():
                raise ProducerEndedError
            await deliveries
        finally:
            deliveries.cancel()

    def _batches(self, messages: Iterable[OutputMessage]) -> Iterator[BatchBuilder]:
        now_ms = time.time_ns() // 1_000_000
        batch = self._producer.create_batch()
        for message in messages:
            if not _append(batch, message, now_ms):
                yield batch
                batch = self._producer.create_batch()
                _append(batch, message, now_ms)
        yield batch


def _append(batch: BatchBuilder, message: OutputMessage, now_ms: int) -> bool:
    headers = [] if message.version is None else [("version", b"%d" % message.version)]
    # The wrapper around the C builder costs half as much again as the builder.
    appended = batch._builder.append(batch._relative_offset, now_ms, message.key, message.value, headers)
    if appended is None:
        return False
    batch._relative_offset += 1
    return True

"""Publishes events to Kafka: gathers those of many calls for a moment, and sends one batch per topic and partition.

Promises that `publish` returns only after Kafka has acknowledged every record of the call, and otherwise raises within
the produce timeout; that the records of a partition keep the order of their calls; and that the bytes in flight are
bounded. A partition has one batch in flight at a time: aiokafka would only queue a second one, while here it can still
grow.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from ingest_api.errors import kafka_unavailable, outcome_unknown
from ingest_api.kafka.partition_queue import PartitionQueue, PublishCall
from ingest_api.kafka.producer_connection import MAX_REQUEST_BYTES, ProducerConnection
from ingest_api.records import OVERHEAD_BYTES, EventRecord
from ingest_api.settings import Settings
from runtime import metrics
from runtime.http_errors import ApiError
from runtime.kafka_errors import classify_kafka_error
from schemas.ids import partition_of

# The largest message of a topic, less what Kafka adds to a record.
MAX_EVENT_BYTES = MAX_REQUEST_BYTES - 8192

log = logging.getLogger(__name__)


class Publisher:
    """Publishes the records of calls, between `start` and `stop`. Kafka may be away at any time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection = ProducerConnection(settings, self._fail_all)
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        self._in_flight_bytes = 0
        self._busy_queues = 0
        self._gathered: list[PublishCall] = []
        self._next_flush: asyncio.Handle | None = None
        metrics.IN_FLIGHT_EVENTS.set_callback(lambda: {(): sum(queue.events for queue in self._queues.values())})
        metrics.IN_FLIGHT_BYTES.set_callback(lambda: {(): self._in_flight_bytes})
        # Records, by partition.
        self._acknowledged: Counter[tuple[str, int]] = Counter()
        metrics.RECORDS_ACKNOWLEDGED.set_callback(
            lambda: {(*partition,): count for partition, count in self._acknowledged.items()}
        )
        metrics.READY.set_callback(lambda: {(): not self.fault})

    @property
    def fault(self) -> str:
        """Why nothing can be published now, in one sentence; empty when it can."""
        return self._connection.fault

    def start(self) -> None:
        """Connect in the background."""
        # Stored, because asking for the running loop costs a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._connection.start()

    async def stop(self) -> None:
        """Close after the calls in flight; calls that are not acknowledged within the produce timeout fail."""
        await self._connection.stop()
        self._fail_all("the edge is shutting down")

    async def publish(self, records: Sequence[EventRecord]) -> None:
        """Return when Kafka has acknowledged all records; ApiError 413 or 503 otherwise, in bounded time."""
        connection = self._connection
        if connection.fault or connection.producer is None:
            raise kafka_unavailable(connection.fault)
        size = OVERHEAD_BYTES * len(records)
        for record in records:
            value_size = len(record.value)
            if value_size > MAX_EVENT_BYTES:
                raise ApiError(
                    f"an event of this call has {value_size} bytes, and Kafka takes at most {MAX_EVENT_BYTES}",
                    status=413,
                )
            size += value_size
        # A single call may be larger than the bound.
        if self._in_flight_bytes and self._in_flight_bytes + size > self._settings.max_in_flight_bytes:
            raise kafka_unavailable(f"{self._in_flight_bytes} bytes of events already wait for Kafka")
        self._in_flight_bytes += size
        call = PublishCall(self._loop.create_future(), size)
        queues, partitions = self._queues, connection.partitions
        for record in records:
            partition = record.topic, partition_of(record.trace_hash, partitions)
            queue = queues.get(partition)
            if queue is None:
                queue = queues[partition] = PartitionQueue(TopicPartition(*partition), connection.new_batch)
            queue.append(record, call)
        self._gather(call)
        await call.done

    def _gather(self, call: PublishCall) -> None:
        """Have the call sent: at once if nothing is in flight, else when that is acknowledged or the linger is over."""
        if self._next_flush is None:
            if self._busy_queues:
                self._next_flush = self._loop.call_later(self._settings.linger_ms / 1000, self._flush)
            else:
                self._next_flush = self._loop.call_soon(self._flush)
        if not self._gathered:
            # One timer for all calls gathered together: a timer for each would cost more than its share of a batch.
            self._loop.call_later(self._settings.produce_timeout_s, self._expire, self._gathered)
        self._gathered.append(call)

    def _expire(self, calls: list[PublishCall]) -> None:
        # A call that has waited too long cannot be taken out of its batch, so the whole producer is discarded.
        if not all(call.done.done() for call in calls):
            self._connection.replace(f"Kafka did not acknowledge within {self._settings.produce_timeout_s:g} s")

    def _flush(self) -> None:
        """Send one batch of every queue that has any; a queue with a batch in flight is sent after that."""
        if self._next_flush is not None:
            self._next_flush.cancel()
            self._next_flush = None
        self._gathered = []
        try:
            for queue in self._queues.values():
                if not queue.waiting:
                    continue
                queue.due = queue.in_flight is not None
                if not queue.due:
                    self._busy_queues += 1
                    delivery = self._connection.send(queue.dispatch(), queue.partition)
                    delivery.add_done_callback(partial(self._complete, queue))
        except Exception as error:
            self._drop_producer(error)

    def _complete(self, queue: PartitionQueue, delivery: "asyncio.Future[Any]") -> None:
        """Complete the calls of a batch that is acknowledged, or discard the producer if the batch has failed."""
        error = None if delivery.cancelled() else delivery.exception()
        if self._queues.get(queue.partition) is not queue:
            return  # the producer was discarded, and its calls have failed already
        if error is not None or delivery.cancelled():
            self._drop_producer(error or asyncio.CancelledError())
            return
        self._busy_queues -= 1
        self._acknowledged[queue.partition] += queue.in_flight_events
        for call in queue.complete():
            call.batches -= 1
            if not call.batches:
                self._in_flight_bytes -= call.size
                if not call.done.done():
                    call.done.set_result(None)
        if queue.due or (not self._busy_queues and self._next_flush is not None):
            # Not at once: batches that were sent together are acknowledged at the same moment, and join the flush.
            queue.due = False
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._next_flush is not None:
            self._next_flush.cancel()
        self._next_flush = self._loop.call_soon(self._flush)

    def _drop_producer(self, error: BaseException) -> None:
        """Discard the producer after an error."""
        if isinstance(error, KafkaError):
            self._connection.replace(f"Kafka did not take a batch: {classify_kafka_error(error).summary}")
        else:
            log.error("a batch could not be sent", exc_info=error)
            self._connection.replace("a batch could not be sent: see the log")

    def _fail_all(self, why: str) -> None:
        """Fail every call, because the producer with their records is discarded, and start with empty queues."""
        queues, self._queues = self._queues, {}
        self._in_flight_bytes = self._busy_queues = 0
        for queue in queues.values():
            for call in queue.calls():
                if not call.done.done():
                    call.done.set_exception(outcome_unknown(why) if call.dispatched else kafka_unavailable(why))

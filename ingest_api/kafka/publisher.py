"""Gathers the events of many calls for a moment and hands them to Kafka, one batch per topic and partition.

Promises that `publish` returns only after Kafka has acknowledged every record of the call, and otherwise raises
within the produce timeout; that a partition's records keep the order of their calls; and that what is in flight is
bounded in bytes. A partition has one batch under way at a time: aiokafka would only queue a second one, while
here it still grows.
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
from ingest_api.kafka.partition_queue import Call, Lane
from ingest_api.kafka.producer_connection import MAX_REQUEST_BYTES, KafkaLink
from ingest_api.records import OVERHEAD_BYTES, Record
from ingest_api.settings import Settings
from runtime import metrics
from runtime.http_errors import ApiError
from runtime.kafka_errors import classify_kafka_error
from schemas.ids import partition_of

# What a topic takes, less what Kafka adds to a record.
MAX_EVENT_BYTES = MAX_REQUEST_BYTES - 8192

log = logging.getLogger(__name__)


class Publisher:
    """Publishes the records of calls. `start` and `stop` frame its life; Kafka may be away during all of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = KafkaLink(settings, self._fail_all)
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._in_flight_bytes = 0
        self._busy_lanes = 0
        self._gathered: list[Call] = []
        self._next_flush: asyncio.Handle | None = None
        metrics.IN_FLIGHT_EVENTS.set_callback(lambda: {(): sum(lane.events for lane in self._lanes.values())})
        metrics.IN_FLIGHT_BYTES.set_callback(lambda: {(): self._in_flight_bytes})
        # Records, by partition.
        self._acknowledged: Counter[tuple[str, int]] = Counter()
        metrics.RECORDS_ACKNOWLEDGED.set_callback(
            lambda: {(*place,): count for place, count in self._acknowledged.items()}
        )
        metrics.READY.set_callback(lambda: {(): not self.fault})

    @property
    def fault(self) -> str:
        """Why nothing can be published now, in one sentence; empty when it can."""
        return self._link.fault

    def start(self) -> None:
        """Connect in the background."""
        # Kept, because asking for the running loop costs a system call in Python 3.11.
        self._loop = asyncio.get_running_loop()
        self._link.start()

    async def stop(self) -> None:
        """Close, after the calls that are under way; whatever is then not acknowledged soon fails."""
        await self._link.stop()
        self._fail_all("the edge is shutting down")

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when Kafka has acknowledged all records; ApiError 413 or 503 otherwise, in bounded time."""
        link = self._link
        if link.fault or link.producer is None:
            raise kafka_unavailable(link.fault)
        size = OVERHEAD_BYTES * len(records)
        for record in records:
            value_size = len(record.value)
            if value_size > MAX_EVENT_BYTES:
                raise ApiError(
                    f"an event of this call has {value_size} bytes, and Kafka takes at most {MAX_EVENT_BYTES}",
                    status=413,
                )
            size += value_size
        # A call that is larger than the whole bound may still pass alone.
        if self._in_flight_bytes and self._in_flight_bytes + size > self._settings.max_in_flight_bytes:
            raise kafka_unavailable(f"{self._in_flight_bytes} bytes of events already wait for Kafka")
        self._in_flight_bytes += size
        call = Call(self._loop.create_future(), size)
        lanes, partitions = self._lanes, link.partitions
        for record in records:
            place = record.topic, partition_of(record.trace_hash, partitions)
            lane = lanes.get(place)
            if lane is None:
                lane = lanes[place] = Lane(TopicPartition(*place), link.new_batch)
            lane.append(record, call)
        self._gather(call)
        await call.done

    def _gather(self, call: Call) -> None:
        """Let the call be sent: at once if nothing is under way, else when it has arrived or the linger is over."""
        if self._next_flush is None:
            if self._busy_lanes:
                self._next_flush = self._loop.call_later(self._settings.linger_ms / 1000, self._flush)
            else:
                self._next_flush = self._loop.call_soon(self._flush)
        if not self._gathered:
            # One timer for all calls that gather together: one for each would cost more than its share of a batch.
            self._loop.call_later(self._settings.produce_timeout_s, self._expire, self._gathered)
        self._gathered.append(call)

    def _expire(self, calls: list[Call]) -> None:
        # A batch cannot give back what has waited too long in it, so then all is given up, with the producer.
        if not all(call.done.done() for call in calls):
            self._link.replace(f"Kafka did not acknowledge within {self._settings.produce_timeout_s:g} s")

    def _flush(self) -> None:
        """Send one batch of every lane in which something waits; a busy lane's is due when that lane is free."""
        if self._next_flush is not None:
            self._next_flush.cancel()
            self._next_flush = None
        self._gathered = []
        try:
            for lane in self._lanes.values():
                if not lane.waiting:
                    continue
                lane.due = lane.under_way is not None
                if not lane.due:
                    self._busy_lanes += 1
                    delivery = self._link.send(lane.hand_over(), lane.place)
                    delivery.add_done_callback(partial(self._settle, lane))
        except Exception as error:
            self._lose(error)

    def _settle(self, lane: Lane, delivery: "asyncio.Future[Any]") -> None:
        """A lane's batch has been acknowledged, or has failed."""
        error = None if delivery.cancelled() else delivery.exception()
        if self._lanes.get(lane.place) is not lane:
            return  # its calls have failed already, with the producer
        if error is not None or delivery.cancelled():
            self._lose(error or asyncio.CancelledError())
            return
        self._busy_lanes -= 1
        self._acknowledged[lane.place] += lane.under_way_events
        for call in lane.settle():
            call.batches -= 1
            if not call.batches:
                self._in_flight_bytes -= call.size
                if not call.done.done():
                    call.done.set_result(None)
        if lane.due or (not self._busy_lanes and self._next_flush is not None):
            # Not at once: other lanes of the same round are acknowledged in this very moment, and go along.
            lane.due = False
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._next_flush is not None:
            self._next_flush.cancel()
        self._next_flush = self._loop.call_soon(self._flush)

    def _lose(self, error: BaseException) -> None:
        """Give the producer up."""
        if isinstance(error, KafkaError):
            self._link.replace(f"Kafka did not take a batch: {classify_kafka_error(error).summary}")
        else:
            log.error("a batch could not be sent", exc_info=error)
            self._link.replace("a batch could not be sent: see the log")

    def _fail_all(self, why: str) -> None:
        """Fail every call, because the producer that held their records is gone, and begin with empty lanes."""
        lanes, self._lanes = self._lanes, {}
        self._in_flight_bytes = self._busy_lanes = 0
        for lane in lanes.values():
            for call in lane.calls():
                if not call.done.done():
                    call.done.set_exception(outcome_unknown(why) if call.handed_over else kafka_unavailable(why))

"""The queue of one partition: batches of aiokafka that wait to be sent, and the one in flight.

An event is written into a batch of its partition as it comes, and is held nowhere else. So the events of one call
cannot be taken out of a batch: a batch is sent, or dropped, as a whole. The publisher decides when a batch is sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from aiokafka import TopicPartition

from ingest_api.records import EventRecord
from runtime.metrics import BATCH_EVENTS, PRODUCE_SECONDS


@dataclass(slots=True, eq=False)
class PublishCall:
    """One call of `publish`. `batches` counts the batches with events of it that are not acknowledged yet."""

    done: asyncio.Future[None]
    size: int
    batches: int = 0
    dispatched: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """Events of one partition in order, and the calls to which they belong."""

    builder: Any
    calls: list[PublishCall] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many events it holds."""
        return int(self.builder._relative_offset)

    def append(self, record: EventRecord, call: PublishCall) -> bool:
        """Add an event; False if the batch is full. The first event always fits, and those of a call come together."""
        # The wrapper around the C builder costs as much as the builder.
        builder = self.builder
        added = builder._builder.append(builder._relative_offset, record.at_ms, record.key, record.value, [])
        if added is None:
            return False
        builder._relative_offset += 1
        if not self.calls or self.calls[-1] is not call:
            self.calls.append(call)
            call.batches += 1
        return True


@dataclass(slots=True, eq=False)
class PartitionQueue:
    """The queue of one partition of one topic. It is `due` if it was to be sent while a batch of it was in flight.

    `sent_at` is when the batch in flight was dispatched, in seconds of `time.perf_counter`.
    """

    partition: TopicPartition
    new_builder: Callable[[], Any]
    waiting: deque[Batch] = field(default_factory=deque)
    in_flight: Batch | None = None
    sent_at: float = 0.0
    due: bool = False

    def append(self, record: EventRecord, call: PublishCall) -> None:
        """Add an event to the last waiting batch, or to a new one."""
        if not self.waiting or not self.waiting[-1].append(record, call):
            batch = Batch(self.new_builder())
            self.waiting.append(batch)
            batch.append(record, call)

    @property
    def in_flight_events(self) -> int:
        """How many events are in flight."""
        return self.in_flight.events if self.in_flight else 0

    def dispatch(self) -> Any:
        """Put the first waiting batch in flight and return its builder."""
        batch = self.in_flight = self.waiting.popleft()
        self.sent_at = perf_counter()
        for call in batch.calls:
            call.dispatched = True
        return batch.builder

    def complete(self) -> list[PublishCall]:
        """Remove the batch in flight, which is acknowledged, and return the calls that have events in it."""
        assert self.in_flight is not None
        batch, self.in_flight = self.in_flight, None
        PRODUCE_SECONDS.observe(perf_counter() - self.sent_at)
        BATCH_EVENTS.observe(batch.events)
        return batch.calls

    @property
    def events(self) -> int:
        """How many events are not acknowledged."""
        return sum(batch.events for batch in (*self.waiting, self.in_flight) if batch is not None)

    def calls(self) -> list[PublishCall]:
        """The calls that have events in a batch that is not acknowledged."""
        in_flight = self.in_flight.calls if self.in_flight else []
        return [*in_flight, *(call for batch in self.waiting for call in batch.calls)]

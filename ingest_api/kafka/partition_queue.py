"""What waits for one partition, already in aiokafka's batches, and which of them is under way.

An event is written into its partition's batch as it comes and kept nowhere else. So a batch cannot give a single call's
events back: it is sent, or given up, as a whole. When it is sent, and what comes of it, is the publisher's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from aiokafka import TopicPartition

from ingest_api.records import Record
from runtime.metrics import BATCH_EVENTS, PRODUCE_SECONDS


@dataclass(slots=True, eq=False)
class Call:
    """One publish. `batches` counts those with events of it that are neither acknowledged nor given up."""

    done: asyncio.Future[None]
    size: int
    batches: int = 0
    handed_over: bool = False


@dataclass(slots=True, eq=False)
class Batch:
    """Events of one partition in order, and the calls that they are of."""

    builder: Any
    calls: list[Call] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many it holds."""
        return int(self.builder._relative_offset)

    def append(self, record: Record, call: Call) -> bool:
        """Add an event; False if the batch is full. The first event always fits, and those of a call come together."""
        # The wrapper around the C builder costs as much as the builder itself.
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
class Lane:
    """One partition of one topic. It is `due` if it should have been sent while a batch of it was under way.

    `sent_at` is when that was handed over, in seconds of `time.perf_counter`.
    """

    place: TopicPartition
    new_builder: Callable[[], Any]
    waiting: deque[Batch] = field(default_factory=deque)
    under_way: Batch | None = None
    sent_at: float = 0.0
    due: bool = False

    def append(self, record: Record, call: Call) -> None:
        """Add an event to what waits."""
        if not self.waiting or not self.waiting[-1].append(record, call):
            batch = Batch(self.new_builder())
            self.waiting.append(batch)
            batch.append(record, call)

    @property
    def under_way_events(self) -> int:
        """How many are under way now."""
        return self.under_way.events if self.under_way else 0

    def hand_over(self) -> Any:
        """Take the first batch that waits to be under way now; its builder."""
        batch = self.under_way = self.waiting.popleft()
        self.sent_at = perf_counter()
        for call in batch.calls:
            call.handed_over = True
        return batch.builder

    def settle(self) -> list[Call]:
        """The batch under way has been acknowledged; the calls that have events in it."""
        assert self.under_way is not None
        batch, self.under_way = self.under_way, None
        PRODUCE_SECONDS.observe(perf_counter() - self.sent_at)
        BATCH_EVENTS.observe(batch.events)
        return batch.calls

    @property
    def events(self) -> int:
        """How many are not acknowledged."""
        return sum(batch.events for batch in (*self.waiting, self.under_way) if batch is not None)

    def calls(self) -> list[Call]:
        """The calls of everything that is not acknowledged."""
        under_way = self.under_way.calls if self.under_way else []
        return [*under_way, *(call for batch in self.waiting for call in batch.calls)]

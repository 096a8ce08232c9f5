"""A Faust transport that hands an agent one whole poll of the consumer at a time.

Faust makes several asyncio tasks per record, which costs more than all the work a record needs here. With this
transport the event an agent sees is a `Poll`: every record that one fetch returned, batch by batch and partition
by partition. Assignment, rebalances, commits and supervision stay Faust's own.

Promises:
- Within a partition, polls arrive in offset order; in each assignment a partition starts at its committed offset, or at
  the beginning of its log where nothing was committed. Nothing is read before it has been placed there.
- An offset is committed only after `acknowledge(poll)`, and never past a batch that was not acknowledged: Faust's
  own acknowledgements, which happen even when an agent raises, are not listened to.
- A poll of an earlier assignment cannot move an offset: acknowledging it does nothing.
- The next poll is fetched only when the agent has asked for it. What arrives until then waits in the fetcher and makes
  that poll the larger, so that a record waits for a few large polls and not for many small ones.

Left to the agent: asking for the next poll, and acknowledging polls in the order they came, only once everything they
led to is stored.
Written against faust-streaming 0.15.3; it overrides `Consumer` internals of that version.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.events import Event
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.metrics import COMMITS

log = logging.getLogger(__name__)

_FETCH_WAIT_MS = 50


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Consecutive records of one partition. `follows` is the offset after the batch delivered before this one."""

    tp: TP
    records: list[ConsumerRecord]
    follows: int | None

    @property
    def next_offset(self) -> int:
        return int(self.records[-1].offset) + 1


@dataclass(frozen=True, slots=True)
class Poll:
    """What one fetch returned: at least one batch, each of another partition, all of one `assignment`."""

    batches: list[RecordBatch]
    assignment: int


class SkippedRecords(Exception):
    """A batch was acknowledged although one before it was not: the worker must restart from its commits."""


@dataclass(slots=True)
class Progress:
    """How far one partition has come since it was assigned, in offsets."""

    first: int | None = None
    delivered: int | None = None
    committable: int | None = None

    def deliver(self, tp: TP, records: list[ConsumerRecord]) -> RecordBatch:
        if self.first is None:
            self.first = int(records[0].offset)
        batch = RecordBatch(tp, records, follows=self.delivered)
        self.delivered = batch.next_offset
        return batch

    def acknowledge(self, batch: RecordBatch) -> None:
        if batch.follows is not None and (self.committable is None or batch.follows > self.committable):
            raise SkippedRecords(
                f"{batch.tp}: records before offset {batch.follows} were delivered and never acknowledged"
            )
        self.committable = max(self.committable or 0, batch.next_offset)


@dataclass
class ProgressOfAssignment:
    """The progress of every assigned partition; pure bookkeeping, no engine.

    `number` counts assignments. Whenever reading starts anew, after a rebalance or a seek, all polls delivered
    before are void: their records will come again, here or elsewhere.
    """

    number: int = 0
    partitions: dict[TP, Progress] = field(default_factory=dict)
    next_wanted: bool = True
    """Whether the agent has asked for the poll after the one delivered last."""

    def poll(self, records: Mapping[TP, list[ConsumerRecord]]) -> Poll:
        self.next_wanted = False
        batches = [self.partitions.setdefault(tp, Progress()).deliver(tp, batch) for tp, batch in records.items()]
        return Poll(batches, self.number)

    def acknowledge(self, poll: Poll) -> None:
        if poll.assignment == self.number:
            for batch in poll.batches:
                self.partitions[batch.tp].acknowledge(batch)

    def ask_for_next(self, poll: Poll) -> None:
        if poll.assignment == self.number:
            self.next_wanted = True

    def committable(self, tp: TP) -> int | None:
        progress = self.partitions.get(tp)
        return progress.committable if progress else None

    def seen_through(self, tp: TP) -> int | None:
        """The offset before which all is acknowledged; None where nothing was delivered in this assignment."""
        progress = self.partitions.get(tp)
        return (progress.first if progress.committable is None else progress.committable) if progress else None

    def start_anew(self) -> None:
        self.number += 1
        self.partitions.clear()
        self.next_wanted = True


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust lets a broker hold a fetch for 1.5 s, and the embedded broker does so even where it has records."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer


class PollConsumer(driver.Consumer):  # type: ignore[misc]
    """The aiokafka consumer of Faust, delivering polls and committing what the agent acknowledged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.progress = ProgressOfAssignment()
        self._asked = asyncio.Event()
        self._enough: int = self.app.conf.broker_max_poll_records // 2
        self._placed_in: int | None = None

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def assignment_number(self) -> int:
        return self.progress.number

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        if not await self._is_wanted(timeout):
            return
        generation, number = self.app.consumer_generation_id, self.progress.number
        records, active = await self._wait_next_records(timeout)
        if records and sum(map(len, records.values())) < self._enough:
            # These were fetched when the poll before was taken; what has come since would wait for the poll after.
            for tp, later in (await self._getmany(active, timeout=2 * _FETCH_WAIT_MS / 1000)).items():
                records.setdefault(tp, []).extend(later)
        if not records or self.should_stop:
            return
        moved = generation != self.app.consumer_generation_id or number != self.progress.number
        if not self.flow_active or moved or self._placed_in != number:
            await self._place()
            return
        assigned = {tp: batch for tp, batch in records.items() if tp in active or tp in self._buffered_partitions}
        if not assigned:
            return
        poll = self.progress.poll(assigned)
        carrier = poll.batches[0].tp
        yield carrier, self._message(carrier, poll, generation)

    def _message(self, carrier: TP, poll: Poll, generation: int) -> ConsumerMessage:
        """A message that Faust's loop never takes for one it has already seen."""
        offset = max(self._read_offset[carrier] or 0, poll.batches[0].next_offset - 1)
        return ConsumerMessage(
            carrier.topic, carrier.partition, offset, 0.0, 0, None, None, poll, None, 0, 0, carrier,
            generation_id=generation,
        )  # fmt: skip

    def acknowledge(self, poll: Poll) -> None:
        """Allow the poll's offsets to be committed; nothing happens if its assignment is over."""
        self.progress.acknowledge(poll)

    def ask_for_next(self, poll: Poll) -> None:
        """Have the poll after this one fetched; nothing happens if its assignment is over."""
        self.progress.ask_for_next(poll)
        self._asked.set()

    async def _is_wanted(self, timeout: float) -> bool:
        """Whether the agent wants another poll, or asks for it within `timeout` seconds."""
        if not self.progress.next_wanted:
            self._asked.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), timeout)
        return self.progress.next_wanted

    async def _place(self) -> None:
        """Begin anew at the commits; if the assignment changes meanwhile, the next call tries again."""
        try:
            await self.perform_seek()
        except (IllegalStateError, KafkaError, AssertionError) as error:
            log.info("partitions could not be placed yet: %s", error)

    async def perform_seek(self) -> None:
        self.progress.start_anew()
        number = self.progress.number
        await super().perform_seek()
        # aiokafka leaves a partition without a commit where it stands, which may be past what was read in vain.
        without = [TopicPartition(*tp) for tp in self.assignment() if not self._committed_offset.get(tp)]
        if without:
            await self._thread.seek_to_beginning(*without)
        self._placed_in = number

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.progress.start_anew()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.progress.start_anew()
        await super().on_partitions_assigned(assigned, generation_id)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        done = bool(await super()._commit(offsets))
        if done:
            COMMITS.add()
        return done

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return [tp for tp in self.progress.partitions if topics is None or tp in topics or tp.topic in topics]

    def _new_offset(self, tp: TP) -> int | None:
        return self.progress.committable(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets that the log never had need no bookkeeping: only delivered batches count."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust looks for partitions without messages of their own; a poll carries many partitions at once."""


class PollTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with polls for events."""

    Consumer = PollConsumer


class PassThrough(faust.Schema):  # type: ignore[misc]
    """Hands the poll on as it is."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return Event(app, None, message.value, message.headers, message)

        return decode

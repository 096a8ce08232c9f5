"""A Faust transport that gives an agent one whole consumer batch at a time.

Faust makes several asyncio tasks per record, which costs more than all other work on a record here. With this
transport, the event that an agent sees is a `ConsumerBatch`: all records that were read since the previous batch, by
partition. Assignment, rebalances, commits and supervision remain Faust's own.

Promises:
- Within a partition, batches arrive in offset order. In each assignment a partition starts at its committed offset, or
  at the beginning of its log if nothing was committed. Nothing is read before the partition has been placed there.
- An offset is committed only after `acknowledge(batch)`, and never past records that were not acknowledged. Faust's own
  acknowledgements, which happen even when an agent raises, are ignored.
- A batch of an earlier assignment cannot move an offset: acknowledging it does nothing.
- Nothing is read of a log whose commits lie before those of this process.
- Offsets whose records the log lost before they were read are part of a batch, as lost (see LostOffsets).
- The next batch is made when the agent asks for it, of everything that has arrived by then. So a busy worker gets a few
  large batches and not many small ones. Reading continues meanwhile, up to half as much again as a batch may hold.

The agent has to ask for the next batch, and to acknowledge batches in the order in which they came, each only once
everything that follows from it is stored.
Written against faust-streaming 0.15.3; it overrides `Consumer` internals of that version.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.events import Event
from faust.streams import Stream
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage, StreamT
from mode import Service

from runtime.metrics import COMMITS
from stream_workers.batches.group_refusal import foreign_topics, until_refused
from stream_workers.batches.offset_progress import AssignmentProgress, CommitsWentBackError, ConsumerBatch
from stream_workers.health import HEALTH

log = logging.getLogger(__name__)

_LEAST_FETCH_WAIT_MS, _MOST_FETCH_WAIT_MS = 50, 250
_GATHER_S = 0.05
_LOG_STARTS_S = 5


def fetch_wait_ms(silent_s: float) -> int:
    """How long a broker may hold a fetch, after so many seconds without a record.

    The embedded broker holds a fetch that long even if it has records. So a record waits a twentieth of the silence
    before it, and a quarter of a second at most. A fetch every 50 ms all the time would take a twentieth of a core.
    """
    return min(max(_LEAST_FETCH_WAIT_MS, int(silent_s * 1000 / 20)), _MOST_FETCH_WAIT_MS)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, with a fetch wait that can be set. Faust's own is 1.5 s."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _LEAST_FETCH_WAIT_MS
        return consumer

    def hold_fetches(self, milliseconds: int) -> None:
        """Let the broker hold each following fetch for up to this time."""
        fetcher = self._consumer and self._consumer._fetcher
        if fetcher:
            fetcher._fetch_max_wait_ms = milliseconds

    @property
    def group_fault(self) -> KafkaError | frozenset[str] | None:
        """What keeps the consumer out of its group, or topics of the group that it does not read, if there are any.

        aiokafka waits with an error until somebody reads and is told it. The leader of a group knows all its topics.
        """
        consumer = self._consumer
        coordinator = consumer and consumer._coordinator
        if not (consumer and coordinator):
            return None
        return coordinator._pending_exception or foreign_topics(
            coordinator._group_subscription, consumer.subscription()
        )


class BatchConsumer(driver.Consumer):
    """Faust's aiokafka consumer, which delivers consumer batches and commits what the agent has acknowledged."""

    _thread: _ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.progress = AssignmentProgress()
        self._next_request = asyncio.Event()
        self._enough: int = self.app.conf.broker_max_poll_records // 2
        self._positioned_in: int | None = None
        self._last_record_at = time.monotonic()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def assignment_number(self) -> int:
        return self.progress.number

    # A task of the app would begin only when the group has taken it.
    @Service.task
    async def _end_if_refused(self) -> None:
        await self._stop_program(await until_refused(self.app.conf.id, lambda: self._thread.group_fault))

    async def _stop_program(self, fault: Exception) -> None:
        log.critical("the program cannot go on and stops: %s", str(fault))
        await self.app.crash(fault)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        HEALTH.note_fetch()
        generation, number = self.app.consumer_generation_id, self.progress.number
        records, active = await self._read_on(timeout)
        if self.should_stop:
            return
        moved = generation != self.app.consumer_generation_id or number != self.progress.number
        if not self.flow_active or moved or self._positioned_in != number:
            if records or self.progress.gathered:
                await self._seek_to_commits()
            return
        self.progress.gather(
            {tp: read for tp, read in records.items() if tp in active or tp in self._buffered_partitions}
        )
        if self.progress.next_requested and self.progress.has_batch:
            batch = self.progress.take_batch()
            carrier = batch.partitions[0].tp
            yield carrier, self._message(carrier, batch, generation)

    async def _read_on(self, timeout: float) -> tuple[Mapping[TP, list[ConsumerRecord]], set[TP]]:
        """The records that were fetched and the partitions that are ours; nothing once enough is gathered."""
        progress = self.progress
        if not progress.next_requested:
            enough = progress.gathered_count >= self._enough
            await self._next_requested_within(timeout if enough else _GATHER_S)
        if progress.gathered_count >= self._enough:
            return {}, set()
        records, active = await self._wait_next_records(
            timeout if progress.next_requested and not progress.gathered else 0
        )
        now = time.monotonic()
        if records:
            self._last_record_at = now
        self._thread.hold_fetches(fetch_wait_ms(now - self._last_record_at))
        return records or {}, active or set()

    def _message(self, carrier: TP, batch: ConsumerBatch, generation: int) -> ConsumerMessage:
        """The batch as a message with an offset that Faust's loop has not seen yet."""
        offset = max(self._read_offset[carrier] or 0, batch.partitions[0].next_offset - 1)
        value = cast(Any, batch)  # Faust expects bytes here, and hands on what it finds
        return ConsumerMessage(
            carrier.topic, carrier.partition, offset, 0.0, 0, None, None, value, None, 0, 0, carrier,
            generation_id=generation,
        )  # fmt: skip

    def acknowledge(self, batch: ConsumerBatch) -> None:
        """Allow the offsets of the batch to be committed; nothing happens if its assignment is over."""
        self.progress.acknowledge(batch)

    def request_next(self, batch: ConsumerBatch) -> None:
        """Have the batch after this one delivered; nothing happens if its assignment is over."""
        self.progress.request_next(batch)
        self._next_request.set()

    async def _next_requested_within(self, seconds: float) -> None:
        """Wait until the agent asks for the next batch, no longer than this."""
        self._next_request.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._next_request.wait(), seconds)

    async def _seek_to_commits(self) -> None:
        """Seek every partition to its commit; if the assignment changes meanwhile, the next call tries again."""
        try:
            await self.perform_seek()
        except (IllegalStateError, KafkaError, AssertionError) as error:
            log.info("partitions could not be placed yet: %s", error)

    async def perform_seek(self) -> None:
        self.progress.reset()
        number = self.progress.number
        await super().perform_seek()
        assigned = {TP(*tp) for tp in self.assignment()}
        starts = await self._log_starts(assigned)
        if self.progress.number != number:
            return
        try:
            for tp in assigned:
                self.progress.begin(tp, self._read_offset.get(tp), starts.get(tp))
        except CommitsWentBackError as fault:
            # The next start compares the log with what is stored.
            await self._stop_program(fault)
            return
        # aiokafka does not move a partition without a commit. It may stand past records that were read in vain.
        without = [_of_aiokafka(tp) for tp in self.assignment() if not self._committed_offset.get(tp)]
        if without:
            await self._thread.seek_to_beginning(*without)
        self._positioned_in = number

    async def _log_starts(self, partitions: set[TP]) -> dict[TP, int]:
        """The first offset of each log; empty if Kafka does not answer, and then the first record shows it."""
        try:
            async with asyncio.timeout(_LOG_STARTS_S):
                starts = await self._thread.earliest_offsets(*cast(Iterable[TP], map(_of_aiokafka, partitions)))
        except (KafkaError, TimeoutError) as error:
            log.info("Kafka did not say where its logs begin: %r", error)
            return {}
        return {TP(*tp): offset for tp, offset in starts.items()}

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.progress.reset()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.progress.reset()
        await super().on_partitions_assigned(assigned, generation_id)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        number = self.progress.number
        done = bool(await super()._commit(offsets))
        if done:
            COMMITS.add()
            self.progress.note_commits(offsets, number)
        return done

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in self.progress.partitions if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self.progress.committable(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets without a record need no bookkeeping, because only delivered records are acknowledged."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust checks for partitions without messages, but one batch carries several partitions."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport, whose events are consumer batches."""

    Consumer = BatchConsumer


class PassThrough(faust.Schema[Any, Any]):
    """A Faust schema that passes each batch on unchanged."""

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return Event(app, None, message.value, message.headers, message)

        return decode


def batches_of(stream: StreamT[Any]) -> AsyncIterator[ConsumerBatch]:
    """The consumer batches in the stream of an agent. `BatchConsumer.acknowledge` alone acknowledges them."""
    return aiter(cast(Stream[ConsumerBatch], stream).noack())


def _of_aiokafka(tp: TP) -> TopicPartition:
    """A partition as aiokafka has it. Faust's own type is another named tuple of the same two."""
    return TopicPartition(*tp)


def consumer_of(app: faust.App) -> BatchConsumer:
    """The consumer of an app that has this transport."""
    return cast(BatchConsumer, app.consumer)

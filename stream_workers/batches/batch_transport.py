"""A Faust transport that hands an agent one whole poll of the consumer at a time.

Faust makes several asyncio tasks per record, which costs more than all the work a record needs here. With this
transport the event an agent sees is a `Poll`: all that was read since the poll before, partition by partition.
Assignment, rebalances, commits and supervision stay Faust's own.

Promises:
- Within a partition, polls arrive in offset order; in each assignment a partition starts at its committed offset, or at
  the beginning of its log where nothing was committed. Nothing is read before it has been placed there.
- An offset is committed only after `acknowledge(poll)`, and never past a batch that was not acknowledged: Faust's
  own acknowledgements, which happen even when an agent raises, are not listened to.
- A poll of an earlier assignment cannot move an offset: acknowledging it does nothing.
- Records that the log has lost before they were read are part of a poll as what they are: lost (see progress.Lost).
- The next poll is made when the agent asks for it, of all that has arrived until then: a record waits for a few large
  polls and not for many small ones. Reading goes on meanwhile, up to half as much again as a poll is to hold.

Left to the agent: asking for the next poll, and acknowledging polls in the order they came, only once everything they
led to is stored.
Written against faust-streaming 0.15.3; it overrides `Consumer` internals of that version.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import faust
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord, TopicPartition
from faust.events import Event
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from runtime.metrics import COMMITS
from stream_workers.batches.offset_progress import Poll, ProgressOfAssignment
from stream_workers.health import VITALS

log = logging.getLogger(__name__)

_LEAST_FETCH_WAIT_MS, _MOST_FETCH_WAIT_MS = 50, 250
_GATHER_S = 0.05
_LOG_STARTS_S = 5


def fetch_wait_ms(silent_s: float) -> int:
    """How long a broker may hold a fetch, after so many seconds without a record.

    The embedded broker holds it that long even where it has records: they wait a twentieth of the silence before them,
    and a quarter of a second at most. A fetch every 50 ms for ever would take a twentieth of a core.
    """
    return min(max(_LEAST_FETCH_WAIT_MS, int(silent_s * 1000 / 20)), _MOST_FETCH_WAIT_MS)


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust lets a broker hold a fetch for 1.5 s; here as long as `hold_fetches` says."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _LEAST_FETCH_WAIT_MS
        return consumer

    def hold_fetches(self, milliseconds: int) -> None:
        """Let the broker hold the fetches that follow for so long."""
        fetcher = self._consumer and self._consumer._fetcher
        if fetcher:
            fetcher._fetch_max_wait_ms = milliseconds


class PollConsumer(driver.Consumer):  # type: ignore[misc]
    """The aiokafka consumer of Faust, delivering polls and committing what the agent acknowledged."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.progress = ProgressOfAssignment()
        self._asked = asyncio.Event()
        self._enough: int = self.app.conf.broker_max_poll_records // 2
        self._placed_in: int | None = None
        self._last_record_at = time.monotonic()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def assignment_number(self) -> int:
        return self.progress.number

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        generation, number = self.app.consumer_generation_id, self.progress.number
        records, active = await self._read_on(timeout)
        VITALS.read()
        if self.should_stop:
            return
        moved = generation != self.app.consumer_generation_id or number != self.progress.number
        if not self.flow_active or moved or self._placed_in != number:
            if records or self.progress.gathered:
                await self._place()
            return
        self.progress.gather(
            {tp: batch for tp, batch in records.items() if tp in active or tp in self._buffered_partitions}
        )
        if self.progress.next_wanted and self.progress.has_poll:
            poll = self.progress.poll()
            carrier = poll.batches[0].tp
            yield carrier, self._message(carrier, poll, generation)

    async def _read_on(self, timeout: float) -> tuple[Mapping[TP, list[ConsumerRecord]], set[TP]]:
        """What was fetched, and the partitions that are ours; nothing once enough is gathered."""
        progress = self.progress
        if not progress.next_wanted:
            enough = progress.gathered_count >= self._enough
            await self._asked_within(timeout if enough else _GATHER_S)
        if progress.gathered_count >= self._enough:
            return {}, set()
        records, active = await self._wait_next_records(
            timeout if progress.next_wanted and not progress.gathered else 0
        )
        now = time.monotonic()
        if records:
            self._last_record_at = now
        self._thread.hold_fetches(fetch_wait_ms(now - self._last_record_at))
        return records or {}, active or set()

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

    async def _asked_within(self, seconds: float) -> None:
        """Wait until the agent asks for the next poll, no longer than this."""
        self._asked.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)

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
        assigned = {TP(*tp) for tp in self.assignment()}
        starts = await self._log_starts(assigned)
        if self.progress.number != number:
            return
        for tp in assigned:
            self.progress.begin(tp, self._read_offset.get(tp), starts.get(tp))
        # aiokafka leaves a partition without a commit where it stands, which may be past what was read in vain.
        without = [TopicPartition(*tp) for tp in self.assignment() if not self._committed_offset.get(tp)]
        if without:
            await self._thread.seek_to_beginning(*without)
        self._placed_in = number

    async def _log_starts(self, partitions: set[TP]) -> dict[TP, int]:
        """The first offset of each log; nothing where Kafka does not say, for then the first record will tell."""
        try:
            async with asyncio.timeout(_LOG_STARTS_S):
                starts = await self._thread.earliest_offsets(*(TopicPartition(*tp) for tp in partitions))
        except (KafkaError, TimeoutError) as error:
            log.info("Kafka did not say where its logs begin: %r", error)
            return {}
        return {TP(*tp): offset for tp, offset in starts.items()}

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

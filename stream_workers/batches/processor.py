"""The stages of a consumer batch: look up, join, complete. Each may run while the batch before is in the next stage.

Promises:
- A batch is decided from the states that all batches before it have left, whether those are stored yet or not.
- A batch is complete only when its rows are stored and its messages are acknowledged by the broker.
- An engine that is away stops the batch and not the worker: the call is repeated, with backoff, until the engine
  answers or the assignment is over.
- A state that was cached under one assignment is not used under another, so an abandoned batch has nothing to undo.

The caller has to join batches in the order in which they came, to complete them in that order, and to join no further
batch once one has failed, except where it was abandoned.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import pyarrow as pa

from stream_workers.batches.dead_letter_share import DeadRecord, DeadShare
from stream_workers.batches.offset_progress import BatchAbandoned, ConsumerBatch
from stream_workers.batches.process_batch import NO_STORED_STATES, StoredStates, process_batch, read_anew_by
from stream_workers.io.arrow_rows import CLAIMS, LOST, LostRecords, claims_table, lost_table
from stream_workers.io.output_messages import OutputMessage
from stream_workers.io.retry import Backoff, until_done
from stream_workers.join.claims import Claim, digest_of, first_of_each_key
from stream_workers.join.decode import decode
from stream_workers.join.incoming_events import IncomingEvent, RejectedRecord, StateInvalidated
from stream_workers.join.state_codec import EncodedState
from stream_workers.join.trace_cache import TraceCache

log = logging.getLogger(__name__)
Result = TypeVar("Result")

BATCHES_IN_FLIGHT = 3
"""Consumer batches that may be in flight at once: one in each stage."""


class WorkerEngines(Protocol):
    """ClickHouse and Kafka as a processor uses them. Each call may be repeated after it has failed."""

    async def fetch(self, hashes: set[int]) -> StoredStates: ...

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]: ...

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None: ...

    async def store(self, rows: dict[str, pa.Table]) -> None: ...

    async def publish(self, messages: list[OutputMessage]) -> None: ...


class Compute(Protocol):
    """Runs a long computation; by default in a thread, so that heartbeats continue."""

    def __call__(self, work: Callable[[], Result], /) -> Awaitable[Result]: ...


@dataclass(frozen=True, slots=True)
class LookedUpBatch:
    """A batch, its events, and the states before them that were cached or stored when they were looked up."""

    batch: ConsumerBatch
    events: list[IncomingEvent]
    rejected: list[RejectedRecord]
    hashes: set[int]
    read_anew: set[int]
    cached: dict[int, EncodedState]
    stored: StoredStates
    claims: dict[Claim, str]
    cache_generation: int


@dataclass(frozen=True, slots=True)
class JoinedBatch:
    """A batch with the rows and messages that follow from it."""

    batch: ConsumerBatch
    rows: dict[str, pa.Table]
    messages: list[OutputMessage]


class Processor:
    """The three stages of a consumer batch. `assignment_over(batch)` tells whether its partitions were revoked."""

    def __init__(
        self,
        engines: WorkerEngines,
        cache: TraceCache,
        assignment_over: Callable[[ConsumerBatch], bool],
        *,
        offset_base: int = 0,
        backoff: Backoff | None = None,
        compute: Compute = asyncio.to_thread,
        dead_share: DeadShare | None = None,
    ) -> None:
        self._engines = engines
        self._cache = cache
        self._assignment_over = assignment_over
        self._offset_base = offset_base
        self._backoff = backoff or Backoff()
        self._compute = compute
        self._dead_share = dead_share or DeadShare(limit=0)
        self._assignment: int | None = None
        # How often all cached states were cleared: what was looked up before the last time may be out of date.
        self._cache_generation = 0
        # The new states of the latest batches; a look-up may have been too early to find them in storage.
        self._latest: deque[dict[int, EncodedState]] = deque(maxlen=BATCHES_IN_FLIGHT)

    async def look_up(self, batch: ConsumerBatch, earlier_completed: Callable[[], Awaitable[object]]) -> LookedUpBatch:
        """Decode a batch and find the states it needs. `earlier_completed` waits for all batches before this one."""
        if batch.assignment != self._assignment:
            self._assignment = batch.assignment
            self.clear_states()
        await self._store_lost_records(batch)
        records = [record for part in batch.partitions for record in part.records]
        events, rejected = await self._compute(lambda: decode(records, self._offset_base))
        if StateInvalidated in {type(incoming.event) for incoming in events}:
            await earlier_completed()
            self.clear_states()
        read_anew = read_anew_by(events)
        if read_anew:
            await earlier_completed()
        cache_generation, hashes = self._cache_generation, {incoming.trace_hash for incoming in events}
        cached, stored = await self._find(batch, hashes, read_anew)
        claims = await self._claim(batch, events)
        return LookedUpBatch(batch, events, rejected, hashes, read_anew, cached, stored, claims, cache_generation)

    async def join(self, looked_up: LookedUpBatch) -> JoinedBatch:
        """Join a batch; all batches before it have been joined.

        Raises BatchAbandoned if its assignment is over, and TooManyDeadError if most of it would become dead letters.
        """
        batch, hashes, read_anew = looked_up.batch, looked_up.hashes, looked_up.read_anew
        cached, stored = looked_up.cached, looked_up.stored
        if looked_up.cache_generation != self._cache_generation:
            cached, stored = await self._find(batch, hashes, read_anew)
        cached = cached | self._latest_states_of(hashes - read_anew)
        self._require(batch)
        # In steps: the next batch is decoded in between, so that its look-up runs while this one is joined.
        steps = process_batch(
            looked_up.events, looked_up.rejected, cached, stored, looked_up.claims, self._cache.compress_from
        )
        result = None
        while result is None:
            result = await self._compute(lambda: next(steps))
            self._require(batch)
        self._dead_share.count_batch(sum(len(part.records) for part in batch.partitions), _dead_records(result.rows))
        self._latest.append(result.states)
        self._cache.put(result.states)
        return JoinedBatch(batch, result.rows, result.messages)

    async def complete(self, joined: JoinedBatch) -> None:
        """Store and publish a batch; all batches before it are complete. Raises BatchAbandoned as above."""
        await self._until_done(joined.batch, "insert", lambda: self._engines.store(joined.rows))
        await self._until_done(joined.batch, "publish", lambda: self._engines.publish(joined.messages))

    def clear_states(self) -> None:
        """Clear all cached states: they are read from storage again."""
        self._cache_generation += 1
        self._latest.clear()
        self._cache.clear()

    async def _find(
        self, batch: ConsumerBatch, hashes: set[int], read_anew: set[int]
    ) -> tuple[dict[int, EncodedState], StoredStates]:
        """The cached states of these hashes; of the others, and of those to be read anew, the stored states."""
        known = hashes - read_anew
        cached = self._cache.get(known) | self._latest_states_of(known)
        others = hashes - cached.keys()
        if not others:
            return cached, NO_STORED_STATES
        return cached, await self._until_done(batch, "look-up", lambda: self._engines.fetch(others))

    def _latest_states_of(self, hashes: set[int]) -> dict[int, EncodedState]:
        """The new states that the latest batches have made of these hashes."""
        states: dict[int, EncodedState] = {}
        for latest in self._latest:
            states |= {h: latest[h] for h in hashes & latest.keys()}
        return states

    async def _claim(self, batch: ConsumerBatch, events: list[IncomingEvent]) -> dict[Claim, str]:
        """Claim the idempotency keys that belong to no call yet; returns the digest of the call that owns each key."""
        first = first_of_each_key(events)
        if not first:
            return {}
        owners = await self._until_done(batch, "look-up", lambda: self._engines.fetch_claims(first.keys()))
        unclaimed = {claim: event for claim, event in first.items() if claim not in owners}
        if unclaimed:
            await self._until_done(batch, "insert", lambda: self._engines.store({CLAIMS: claims_table(unclaimed)}))
            # Another worker may have claimed a key meanwhile. A claim of an event older than the retention of claims is
            # deleted again by now.
            found = await self._until_done(batch, "look-up", lambda: self._engines.fetch_claims(unclaimed.keys()))
            owners |= {claim: digest_of(event) for claim, event in unclaimed.items()} | found
        return owners

    async def _store_lost_records(self, batch: ConsumerBatch) -> None:
        """Store which records the log no longer had: once the batch is committed, nothing else shows it."""
        found: list[LostRecords] = []
        for tp, lost in ((part.tp, lost) for part in batch.partitions for lost in part.lost):
            end = lost.end + self._offset_base
            first = self._offset_base + (lost.first or 0)
            if lost.first is None:
                last = await self._until_done(
                    batch, "look-up", partial(self._engines.last_stored, tp.topic, tp.partition, end)
                )
                first = first if last is None else max(first, last + 1)
            if first < end:
                found.append(LostRecords(tp.topic, tp.partition, first, end))
        if not found:
            return
        for each in found:
            log.error(
                "%d records of %s/%d were gone from Kafka before a worker read them, offsets %d to %d;"
                " `feedback audit` counts them until they are acknowledged",
                each.end - each.first, each.topic, each.partition,
                each.first - self._offset_base, each.end - 1 - self._offset_base,
            )  # fmt: skip
        await self._until_done(batch, "insert", lambda: self._engines.store({LOST: lost_table(found)}))

    def _require(self, batch: ConsumerBatch) -> None:
        if self._assignment_over(batch):
            raise BatchAbandoned

    async def _until_done(self, batch: ConsumerBatch, what: str, action: Callable[[], Awaitable[Result]]) -> Result:
        return await until_done(what, action, self._backoff, lambda: self._require(batch))


def _dead_records(rows: dict[str, pa.Table]) -> list[DeadRecord]:
    letters = rows.get("dead_letters")
    if letters is None:
        return []
    columns = letters.select(["reason", "detail", "topic", "kafka_partition", "sequence"]).to_pydict().values()
    return [
        DeadRecord(reason, detail, "/".join(map(str, place))) for reason, detail, *place in zip(*columns, strict=True)
    ]

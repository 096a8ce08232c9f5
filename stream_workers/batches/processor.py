"""One poll, stage by stage: look up, join, settle. Each stage may run while the poll before is in the next one.

Promises: what a poll decides rests on all polls before it, stored or not; a poll is settled only when its rows are
stored and its messages acknowledged by the broker; an engine that is away stops the poll, not the worker: it is tried
again, with backoff, until it answers or the assignment is over. What was remembered under one assignment is not
used under another, so a poll that is abandoned need take nothing back. Left to the caller: joining polls in the order
they came, settling them in that order, and joining no more once any but an abandoned one has failed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import pyarrow as pa

from stream_workers.batches.dead_letter_share import DeadShare
from stream_workers.batches.offset_progress import Poll
from stream_workers.batches.process_batch import NOTHING, Stored, decide, removed_by
from stream_workers.io.arrow_rows import CLAIMS, LOST, LostRecords, claims_table, lost_table
from stream_workers.io.output_messages import Message
from stream_workers.io.retry import Backoff, until_done
from stream_workers.join.decode import Arrival, Fault, Forgotten, decode
from stream_workers.join.state_codec import Packed
from stream_workers.join.trace_cache import TraceCache
from stream_workers.join.trace_join import Claim, digest_of, first_of_each_key

log = logging.getLogger(__name__)
Result = TypeVar("Result")

IN_HAND = 3
"""Polls that may be under way at once: one in each stage."""


class Abandoned(Exception):
    """The assignment under which the poll came is over; another worker will see its records."""


class Engines(Protocol):
    """The rim: where state is read and results go. Each call may be repeated after it has failed."""

    async def fetch(self, hashes: set[int]) -> Stored: ...

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]: ...

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None: ...

    async def store(self, rows: dict[str, pa.Table]) -> None: ...

    async def publish(self, batch: list[Message]) -> None: ...


class Compute(Protocol):
    """Runs a computation that takes a while; by default in a thread, so that heartbeats go on."""

    def __call__(self, work: Callable[[], Result], /) -> Awaitable[Result]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A poll with the state it starts from, as far as that could be known then: what was remembered, what is stored."""

    poll: Poll
    arrivals: list[Arrival]
    faults: list[Fault]
    hashes: set[int]
    removed: set[int]
    remembered: dict[int, Packed]
    stored: Stored
    claims: dict[Claim, str]
    memory: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What a poll comes to."""

    poll: Poll
    rows: dict[str, pa.Table]
    messages: list[Message]


class Processor:
    """Takes polls through their stages. `assignment_over(poll)` says whether its partitions were taken away."""

    def __init__(
        self,
        engines: Engines,
        cache: TraceCache,
        assignment_over: Callable[[Poll], bool],
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
        # How often everything was forgotten: what was found before the last time may be out of date.
        self._memory = 0
        # What the latest polls have left behind; a look-up may have been too early to see it in storage.
        self._latest: deque[dict[int, Packed]] = deque(maxlen=IN_HAND)

    async def look_up(self, poll: Poll, earlier_settled: Callable[[], Awaitable[object]]) -> Found:
        """Decode a poll and find the state it needs. `earlier_settled` waits for all polls before this one."""
        if poll.assignment != self._assignment:
            self._assignment = poll.assignment
            self.forget()
        await self._note_what_is_lost(poll)
        records = [record for batch in poll.batches for record in batch.records]
        arrivals, faults = await self._compute(lambda: decode(records, self._offset_base))
        if Forgotten in {type(arrival.event) for arrival in arrivals}:
            await earlier_settled()
            self.forget()
        removed = removed_by(arrivals)
        if removed:
            await earlier_settled()
        memory, hashes = self._memory, {arrival.trace_hash for arrival in arrivals}
        remembered, stored = await self._find(poll, hashes, removed)
        claims = await self._claim(poll, arrivals)
        return Found(poll, arrivals, faults, hashes, removed, remembered, stored, claims, memory)

    async def join(self, found: Found) -> Decision:
        """Decide a poll, all polls before it being decided. Raises Abandoned if its assignment is over, and
        TooManyDeadError where most of it would become dead letters."""
        poll, hashes = found.poll, found.hashes
        remembered, stored = found.remembered, found.stored
        if found.memory != self._memory:
            remembered, stored = await self._find(poll, hashes, found.removed)
        remembered = remembered | self._left_by_latest(hashes - found.removed)
        self._require(poll)
        # Slice by slice: the next poll is decoded in between, so that its look-up runs while this one is decided.
        deciding = decide(found.arrivals, found.faults, remembered, stored, found.claims, self._cache.compress_from)
        outcome = None
        while outcome is None:
            outcome = await self._compute(lambda: next(deciding))
            self._require(poll)
        self._dead_share.take(sum(len(batch.records) for batch in poll.batches), _reasons(outcome.rows))
        self._latest.append(outcome.left)
        self._cache.remember(outcome.left)
        return Decision(poll, outcome.rows, outcome.messages)

    async def settle(self, decision: Decision) -> None:
        """Store and publish a decision, all polls before it being settled. Raises Abandoned as above."""
        await self._until_done(decision.poll, "insert", lambda: self._engines.store(decision.rows))
        await self._until_done(decision.poll, "publish", lambda: self._engines.publish(decision.messages))

    def forget(self) -> None:
        """Remember nothing: all state is read from storage again."""
        self._memory += 1
        self._latest.clear()
        self._cache.forget()

    async def _find(self, poll: Poll, hashes: set[int], removed: set[int]) -> tuple[dict[int, Packed], Stored]:
        """What is remembered of these, and what is stored of the others and of those that are to be removed."""
        known = hashes - removed
        remembered = self._cache.known(known) | self._left_by_latest(known)
        others = hashes - remembered.keys()
        if not others:
            return remembered, NOTHING
        return remembered, await self._until_done(poll, "look-up", lambda: self._engines.fetch(others))

    def _left_by_latest(self, hashes: set[int]) -> dict[int, Packed]:
        """Of these, the state that the latest polls have left behind."""
        left: dict[int, Packed] = {}
        for latest in self._latest:
            left |= {h: latest[h] for h in hashes & latest.keys()}
        return left

    async def _claim(self, poll: Poll, arrivals: list[Arrival]) -> dict[Claim, str]:
        """Claim the arrivals' idempotency keys that are nobody's; the digest of the call to which each belongs."""
        first = first_of_each_key(arrivals)
        if not first:
            return {}
        owners = await self._until_done(poll, "look-up", lambda: self._engines.fetch_claims(first.keys()))
        unclaimed = {claim: event for claim, event in first.items() if claim not in owners}
        if unclaimed:
            await self._until_done(poll, "insert", lambda: self._engines.store({CLAIMS: claims_table(unclaimed)}))
            # Another worker may have claimed one meanwhile. What is older than claims are kept is gone again by now.
            found = await self._until_done(poll, "look-up", lambda: self._engines.fetch_claims(unclaimed.keys()))
            owners |= {claim: digest_of(event) for claim, event in unclaimed.items()} | found
        return owners

    async def _note_what_is_lost(self, poll: Poll) -> None:
        """Store which records the log no longer had: once the poll is committed nothing else would tell."""
        found: list[LostRecords] = []
        for tp, lost in ((batch.tp, lost) for batch in poll.batches for lost in batch.lost):
            end = lost.end + self._offset_base
            first = self._offset_base + (lost.first or 0)
            if lost.first is None:
                last = await self._until_done(
                    poll, "look-up", partial(self._engines.last_stored, tp.topic, tp.partition, end)
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
        await self._until_done(poll, "insert", lambda: self._engines.store({LOST: lost_table(found)}))

    def _require(self, poll: Poll) -> None:
        if self._assignment_over(poll):
            raise Abandoned

    async def _until_done(self, poll: Poll, what: str, action: Callable[[], Awaitable[Result]]) -> Result:
        return await until_done(what, action, self._backoff, lambda: self._require(poll))


def _reasons(rows: dict[str, pa.Table]) -> list[str]:
    letters = rows.get("dead_letters")
    return [] if letters is None else letters["reason"].to_pylist()

"""One poll, start to finish: decode, look up, join, store, publish, and only then acknowledge.

Promises: nothing is acknowledged before its rows are stored and its messages are acknowledged by the broker; an
engine that is away stops the poll, not the worker: it tries again, with backoff, until it succeeds or the
assignment is over. A poll given up leaves no trace in the cache.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from stream_workers.cache import TraceCache
from stream_workers.decode import Forgotten, decode
from stream_workers.join import apply
from stream_workers.messages import Message, messages
from stream_workers.record_batches import Poll
from stream_workers.rows import tables
from stream_workers.state import Bucket

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Abandoned(Exception):
    """The assignment under which the poll came is over; another worker will see its records."""


class Engines(Protocol):
    """The rim: where state is read and results go. Each call may be repeated after it has failed."""

    async def fetch(self, hashes: set[int]) -> dict[int, Bucket]: ...

    async def store(self, rows: dict[str, pa.Table]) -> None: ...

    async def publish(self, batch: list[Message]) -> None: ...


@dataclass
class Backoff:
    """Waits between tries, in seconds: doubling from `first` up to `most`."""

    first: float = 0.1
    most: float = 5.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Processor:
    """Handles polls one after another. `assignment_over(poll)` says whether its partitions were taken away."""

    def __init__(
        self,
        engines: Engines,
        cache: TraceCache,
        assignment_over: Callable[[Poll], bool],
        *,
        offset_base: int = 0,
        backoff: Backoff | None = None,
    ) -> None:
        self._engines = engines
        self._cache = cache
        self._assignment_over = assignment_over
        self._offset_base = offset_base
        self._backoff = backoff or Backoff()

    async def process(self, poll: Poll) -> None:
        """See a poll through. Raises Abandoned if its assignment ends first."""
        arrivals, faults = decode((r for batch in poll.batches for r in batch.records), self._offset_base)
        if any(isinstance(arrival.event, Forgotten) for arrival in arrivals):
            self._cache.forget()
        hashes = {arrival.trace_hash for arrival in arrivals}
        buckets = self._cache.known(hashes)
        if unknown := hashes - buckets.keys():
            buckets |= await self._until_done(poll, "look-up", lambda: self._engines.fetch(unknown))
        try:
            changes = apply(buckets, arrivals)
            rows, batch = tables(changes, faults), list(messages(changes, faults))
            await self._until_done(poll, "insert", lambda: self._engines.store(rows))
            await self._until_done(poll, "publish", lambda: self._engines.publish(batch))
        except BaseException:
            self._cache.forget()  # the buckets have moved on and storage has not
            raise
        self._cache.remember(buckets)

    async def _until_done(self, poll: Poll, what: str, action: Callable[[], Awaitable[Result]]) -> Result:
        delay = self._backoff.first
        while not self._assignment_over(poll):
            try:
                result = await action()
            except Exception as error:
                log.warning("%s failed, trying again in %.1f s: %s", what, delay, _one_line(error))
                await self._backoff.sleep(delay)
                delay = min(delay * 2, self._backoff.most)
            else:
                if self._assignment_over(poll):
                    break
                return result
        raise Abandoned


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:500]

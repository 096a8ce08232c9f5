"""Polls under way, each in another stage: while one is stored and published, the next is joined and a third looked up.

Promises that stages are entered in the order in which polls came, that a poll is acknowledged only after all before
it, and that when one fails for good no later one is stored: a later update must never be in the journal without the
earlier. What a stage does is the processor's.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from stream_workers.processor import IN_HAND, Abandoned, Processor
from stream_workers.record_batches import Poll

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Steps:
    """How far a poll has come."""

    joined: asyncio.Event = field(default_factory=asyncio.Event)
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def skip_all(self) -> None:
        self.joined.set()
        self.settled.set()


class Conveyor:
    """Sees polls through. `acknowledge` is told of each settled poll, `fail` of an error that nothing here can mend."""

    def __init__(
        self, processor: Processor, acknowledge: Callable[[Poll], None], fail: Callable[[BaseException], None]
    ) -> None:
        self._processor = processor
        self._acknowledge = acknowledge
        self._fail = fail
        self._room = asyncio.Semaphore(IN_HAND)
        self._tasks: set[asyncio.Task[None]] = set()
        self._before = _Steps()
        self._before.skip_all()

    async def feed(self, poll: Poll) -> None:
        """Take one more poll; returns as soon as there was room for it."""
        await self._room.acquire()
        before, self._before = self._before, _Steps()
        task = asyncio.create_task(self._see_through(poll, before, self._before))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up what is under way; it was not acknowledged and will be read again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_through(self, poll: Poll, before: _Steps, steps: _Steps) -> None:
        try:
            found = await self._processor.look_up(poll, before.settled.wait)
            await before.joined.wait()
            decision = await self._processor.join(found)
            steps.joined.set()
            await before.settled.wait()
            await self._processor.settle(decision)
            self._acknowledge(poll)
        except Abandoned:
            log.info("a poll was left to the partitions' next owner")
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()
            self._fail(error)
            return
        steps.skip_all()
        self._room.release()

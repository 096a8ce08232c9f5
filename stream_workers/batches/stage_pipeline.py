"""Polls under way, one in each stage: while one is stored and published, the next is joined and a third looked up.

Promises that polls pass every stage in the order in which they came, that a poll is acknowledged only after all before
it, and that when one fails for good no later one is stored: a later update must never be in the journal without the
earlier. A poll moves on only when the next stage is free, and the next is asked for only when the first one is: what
arrives meanwhile makes that poll the larger, so polls come out even in size. What a stage does is the processor's.
"""

import asyncio
import logging
from collections.abc import Callable

from stream_workers.batches.offset_progress import Poll
from stream_workers.batches.processor import Abandoned, Processor

log = logging.getLogger(__name__)


class Conveyor:
    """Sees polls through.

    `ask_for_next` is told of each poll that makes room for another, `acknowledge` of each that is settled, and `fail`
    of an error that nothing here can mend.
    """

    def __init__(
        self,
        processor: Processor,
        ask_for_next: Callable[[Poll], None],
        acknowledge: Callable[[Poll], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._processor = processor
        self._ask_for_next = ask_for_next
        self._acknowledge = acknowledge
        self._fail = fail
        self._looking_up, self._joining, self._settling = (asyncio.Lock() for _ in range(3))
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def feed(self, poll: Poll) -> None:
        """Take one more poll; returns as soon as there was room for it."""
        await self._looking_up.acquire()
        task = asyncio.create_task(self._see_through(poll))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Give up what is under way; it was not acknowledged and will be read again."""
        self._give_up_all_but_this_task()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _give_up_all_but_this_task(self) -> None:
        self._stopping = True
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _see_through(self, poll: Poll) -> None:
        stage = self._looking_up
        try:
            found = await self._processor.look_up(poll, self._earlier_settled)
            stage = await self._move_on(stage, self._joining)
            self._ask_for_next(poll)
            decision = await self._processor.join(found)
            del found  # large, and needed no more while the poll is stored
            stage = await self._move_on(stage, self._settling)
            await self._processor.settle(decision)
            self._acknowledge(poll)
        except Abandoned:
            log.info("a poll was left to the partitions' next owner")
        except BaseException as error:
            if self._stopping:
                raise
            self._give_up_all_but_this_task()
            self._fail(error)
            return
        stage.release()

    @staticmethod
    async def _move_on(stage: asyncio.Lock, following: asyncio.Lock) -> asyncio.Lock:
        await following.acquire()
        stage.release()
        return following

    async def _earlier_settled(self) -> None:
        """Wait for all polls before the one that is being looked up."""
        async with self._joining, self._settling:
            pass

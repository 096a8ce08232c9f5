"""Consumer batches in flight, one in each stage: one is stored and published, one joined, and one looked up.

Promises that batches pass every stage in the order in which they came, and that a batch is acknowledged only after all
before it. When a batch fails for good, no later one is stored: a later update must never be in the journal without the
earlier one.

A batch moves on only when the next stage is free, and the next batch is asked for only when the first stage is free.
Records that arrive meanwhile make that batch larger, so batches become even in size. The processor does the work of the
stages.
"""

import asyncio
import logging
from collections.abc import Callable

from stream_workers.batches.offset_progress import BatchAbandoned, ConsumerBatch
from stream_workers.batches.processor import Processor

log = logging.getLogger(__name__)


class StagePipeline:
    """Takes each consumer batch through the stages of a processor.

    `request_next` is called with a batch when there is room for another, `acknowledge` with each batch that is
    complete, and `fail` with an error that the pipeline cannot recover from.
    """

    def __init__(
        self,
        processor: Processor,
        request_next: Callable[[ConsumerBatch], None],
        acknowledge: Callable[[ConsumerBatch], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        self._processor = processor
        self._request_next = request_next
        self._acknowledge = acknowledge
        self._fail = fail
        self._looking_up, self._joining, self._completing = (asyncio.Lock() for _ in range(3))
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def feed(self, batch: ConsumerBatch) -> None:
        """Take one more batch; returns as soon as the first stage has room for it."""
        await self._looking_up.acquire()
        task = asyncio.create_task(self._process_batch(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self) -> None:
        """Wait until no batch is in flight."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """Cancel the batches in flight; they were not acknowledged and will be read again."""
        self._cancel_all_but_this_task()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _cancel_all_but_this_task(self) -> None:
        self._stopping = True
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _process_batch(self, batch: ConsumerBatch) -> None:
        stage = self._looking_up
        try:
            looked_up = await self._processor.look_up(batch, self._earlier_completed)
            stage = await self._move_on(stage, self._joining)
            self._request_next(batch)
            joined = await self._processor.join(looked_up)
            del looked_up  # large, and not needed while the batch is stored
            stage = await self._move_on(stage, self._completing)
            await self._processor.complete(joined)
            self._acknowledge(batch)
        except BatchAbandoned:
            log.info("a consumer batch was abandoned: the next owner of its partitions reads it again")
        except BaseException as error:
            if self._stopping:
                raise
            self._cancel_all_but_this_task()
            self._fail(error)
            return
        stage.release()

    @staticmethod
    async def _move_on(stage: asyncio.Lock, following: asyncio.Lock) -> asyncio.Lock:
        await following.acquire()
        stage.release()
        return following

    async def _earlier_completed(self) -> None:
        """Wait for all batches before the one that is being looked up."""
        async with self._joining, self._completing:
            pass

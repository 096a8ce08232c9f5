"""Several batches are in flight at once, and still each is completed and acknowledged after all before it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from stream_workers.batches.offset_progress import BatchAbandoned, ConsumerBatch
from stream_workers.batches.processor import Processor
from stream_workers.batches.stage_pipeline import StagePipeline

BATCHES = [cast(ConsumerBatch, name) for name in "abcdef"]


class Stages:
    """A processor whose stages end on demand: `finish("complete a")`."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def look_up(self, batch: Any, earlier_completed: Callable[[], Awaitable[object]]) -> Any:
        await self._stage(f"look_up {batch}")
        return batch

    async def join(self, looked_up: Any) -> Any:
        await self._stage(f"join {looked_up}")
        return looked_up

    async def complete(self, joined: Any) -> None:
        await self._stage(f"complete {joined}")

    async def _stage(self, name: str) -> None:
        self.begun.append(name)
        await self._gate(name)

    def _gate(self, name: str) -> asyncio.Future[None]:
        return self.gates.setdefault(name, asyncio.get_running_loop().create_future())

    def finish(self, *names: str, error: BaseException | None = None) -> None:
        for name in names:
            if error:
                self._gate(name).set_exception(error)
            else:
                self._gate(name).set_result(None)


class Pipeline:
    """A pipeline over such stages, and what it has acknowledged and asked for."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.acknowledged: list[Any] = []
        self.failures: list[BaseException] = []
        self.requested_after: list[Any] = []
        self.pipeline = StagePipeline(
            cast(Processor, self.stages), self.requested_after.append, self.acknowledged.append, self.failures.append
        )

    def feed(self, *batches: ConsumerBatch) -> "asyncio.Task[None]":
        """Feed the batches one after the other, as the first stage becomes free."""

        async def feed_each() -> None:
            for batch in batches:
                await self.pipeline.feed(batch)

        return asyncio.create_task(feed_each())

    async def advance(self) -> None:
        await run_all_that_can()


async def run_all_that_can() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_batch_is_joined_while_the_one_before_is_being_stored() -> None:
    subject = Pipeline()
    subject.stages.finish("look_up a", "look_up b", "look_up c", "join a")
    subject.feed(*BATCHES[:3])
    await subject.advance()
    assert {"complete a", "join b", "look_up c"} <= set(subject.stages.begun)
    assert not {"join c", "complete b"} & set(subject.stages.begun)


async def test_batches_are_completed_and_acknowledged_in_the_order_they_came() -> None:
    subject = Pipeline()
    feeding = subject.feed(*BATCHES[:4])
    for stage in ("look_up", "join", "complete"):
        subject.stages.finish(f"{stage} d", f"{stage} c", f"{stage} b")
    subject.stages.finish("look_up a", "join a")
    await subject.advance()
    assert "complete a" in subject.stages.begun
    assert "complete b" not in subject.stages.begun
    assert subject.acknowledged == []
    subject.stages.finish("complete a")
    await feeding
    await subject.pipeline.drain()
    assert subject.acknowledged == BATCHES[:4]
    assert [name for name in subject.stages.begun if name.startswith("complete")] == [f"complete {p}" for p in "abcd"]


async def test_the_next_batch_is_requested_when_the_first_stage_is_free_and_not_before() -> None:
    subject = Pipeline()
    feeding = subject.feed(*BATCHES[:2])
    await subject.advance()
    assert subject.requested_after == []
    assert not feeding.done()
    subject.stages.finish("look_up a", "look_up b")
    await subject.advance()
    assert subject.requested_after == BATCHES[:1]
    assert feeding.done()
    subject.stages.finish("join a")
    await subject.advance()
    assert subject.requested_after == BATCHES[:2]
    await subject.pipeline.stop()


@pytest.mark.parametrize("stage", ["look_up", "join", "complete"])
async def test_when_a_batch_fails_for_good_no_later_one_is_stored(stage: str) -> None:
    subject, bug = Pipeline(), ZeroDivisionError()
    feeding = subject.feed(*BATCHES[:3])
    subject.stages.finish(*(f"{s} {batch}" for s in ("look_up", "join", "complete") for batch in "bc"))
    subject.stages.finish(*(f"{s} a" for s in ("look_up", "join", "complete") if s != stage))
    subject.stages.finish(f"{stage} a", error=bug)
    await subject.advance()
    assert subject.failures == [bug]
    assert subject.acknowledged == []
    assert not {"complete b", "complete c"} & set(subject.stages.begun)
    feeding.cancel()


@pytest.mark.parametrize("stage", ["look_up", "join", "complete"])
async def test_an_abandoned_batch_makes_way_for_those_of_the_next_assignment(stage: str) -> None:
    subject = Pipeline()
    feeding = subject.feed(*BATCHES[:2])
    subject.stages.finish(
        *(f"{s} {batch}" for s in ("look_up", "join", "complete") for batch in "ab" if (s, batch) != (stage, "a"))
    )
    subject.stages.finish(f"{stage} a", error=BatchAbandoned())
    await feeding
    await subject.pipeline.drain()
    assert subject.acknowledged == BATCHES[1:2]
    assert subject.failures == []


async def test_stopping_cancels_batches_in_flight_without_acknowledging_them() -> None:
    subject = Pipeline()
    subject.stages.finish("look_up a", "join a")
    subject.feed(*BATCHES[:2])
    await subject.advance()
    await subject.pipeline.stop()
    assert subject.acknowledged == []
    assert subject.failures == []

"""Several polls are in hand at once, and still each is settled and acknowledged after all before it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from stream_workers.batches.offset_progress import Poll
from stream_workers.batches.processor import Abandoned, Processor
from stream_workers.batches.stage_pipeline import Conveyor

POLLS = [cast(Poll, name) for name in "abcdef"]


class Stages:
    """A processor whose stages end when they are told to: `let_go("settle a")`."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.gates: dict[str, asyncio.Future[None]] = {}

    async def look_up(self, poll: Any, earlier_settled: Callable[[], Awaitable[object]]) -> Any:
        await self._stage(f"look_up {poll}")
        return poll

    async def join(self, found: Any) -> Any:
        await self._stage(f"join {found}")
        return found

    async def settle(self, decision: Any) -> None:
        await self._stage(f"settle {decision}")

    async def _stage(self, name: str) -> None:
        self.begun.append(name)
        await self._gate(name)

    def _gate(self, name: str) -> asyncio.Future[None]:
        return self.gates.setdefault(name, asyncio.get_running_loop().create_future())

    def let_go(self, *names: str, error: BaseException | None = None) -> None:
        for name in names:
            if error:
                self._gate(name).set_exception(error)
            else:
                self._gate(name).set_result(None)


class Line:
    """A conveyor over such stages, and what has come off it."""

    def __init__(self) -> None:
        self.stages = Stages()
        self.acknowledged: list[Any] = []
        self.failures: list[BaseException] = []
        self.asked_after: list[Any] = []
        self.conveyor = Conveyor(
            cast(Processor, self.stages), self.asked_after.append, self.acknowledged.append, self.failures.append
        )

    def feed(self, *polls: Poll) -> "asyncio.Task[None]":
        """Feed them one after the other, as room is made."""

        async def feed_each() -> None:
            for poll in polls:
                await self.conveyor.feed(poll)

        return asyncio.create_task(feed_each())

    async def run(self) -> None:
        await everything_that_can_run()


async def everything_that_can_run() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_next_poll_is_joined_while_the_one_before_is_being_stored() -> None:
    line = Line()
    line.stages.let_go("look_up a", "look_up b", "look_up c", "join a")
    line.feed(*POLLS[:3])
    await line.run()
    assert {"settle a", "join b", "look_up c"} <= set(line.stages.begun)
    assert not {"join c", "settle b"} & set(line.stages.begun)


async def test_polls_are_settled_and_acknowledged_in_the_order_they_came() -> None:
    line = Line()
    feeding = line.feed(*POLLS[:4])
    for stage in ("look_up", "join", "settle"):
        line.stages.let_go(f"{stage} d", f"{stage} c", f"{stage} b")
    line.stages.let_go("look_up a", "join a")
    await line.run()
    assert "settle a" in line.stages.begun
    assert "settle b" not in line.stages.begun
    assert line.acknowledged == []
    line.stages.let_go("settle a")
    await feeding
    await line.conveyor.drain()
    assert line.acknowledged == POLLS[:4]
    assert [name for name in line.stages.begun if name.startswith("settle")] == [f"settle {p}" for p in "abcd"]


async def test_the_next_poll_is_asked_for_when_the_first_stage_is_free_and_not_before() -> None:
    line = Line()
    feeding = line.feed(*POLLS[:2])
    await line.run()
    assert line.asked_after == []
    assert not feeding.done()
    line.stages.let_go("look_up a", "look_up b")
    await line.run()
    assert line.asked_after == POLLS[:1]
    assert feeding.done()
    line.stages.let_go("join a")
    await line.run()
    assert line.asked_after == POLLS[:2]
    await line.conveyor.stop()


@pytest.mark.parametrize("stage", ["look_up", "join", "settle"])
async def test_when_a_poll_fails_for_good_no_later_one_is_stored(stage: str) -> None:
    line, bug = Line(), ZeroDivisionError()
    feeding = line.feed(*POLLS[:3])
    line.stages.let_go(*(f"{s} {poll}" for s in ("look_up", "join", "settle") for poll in "bc"))
    line.stages.let_go(*(f"{s} a" for s in ("look_up", "join", "settle") if s != stage))
    line.stages.let_go(f"{stage} a", error=bug)
    await line.run()
    assert line.failures == [bug]
    assert line.acknowledged == []
    assert not {"settle b", "settle c"} & set(line.stages.begun)
    feeding.cancel()


@pytest.mark.parametrize("stage", ["look_up", "join", "settle"])
async def test_a_poll_whose_assignment_is_over_makes_way_for_those_of_the_next(stage: str) -> None:
    line = Line()
    feeding = line.feed(*POLLS[:2])
    line.stages.let_go(
        *(f"{s} {poll}" for s in ("look_up", "join", "settle") for poll in "ab" if (s, poll) != (stage, "a"))
    )
    line.stages.let_go(f"{stage} a", error=Abandoned())
    await feeding
    await line.conveyor.drain()
    assert line.acknowledged == POLLS[1:2]
    assert line.failures == []


async def test_stopping_gives_up_what_is_under_way_without_acknowledging_it() -> None:
    line = Line()
    line.stages.let_go("look_up a", "join a")
    line.feed(*POLLS[:2])
    await line.run()
    await line.conveyor.stop()
    assert line.acknowledged == []
    assert line.failures == []

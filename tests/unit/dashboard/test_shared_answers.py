"""Viewers who ask the same within a moment share one answer; what differs is never shared."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from dashboard.shared_answers import SharedAnswers


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_who_asks_the_same_at_once_or_within_a_moment_shares_an_answer() -> None:
    clock, asked = Clock(), 0
    shared = SharedAnswers(2, clock)

    async def ask() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return asked

    assert await asyncio.gather(*(shared.get("a", ask) for _ in range(10))) == [1] * 10
    clock.now = 1.9
    assert await shared.get("a", ask) == 1
    assert await shared.get("b", ask) == 2
    clock.now = 2
    assert await shared.get("a", ask) == 3


async def test_a_failure_is_not_kept() -> None:
    shared = SharedAnswers(2, Clock())

    def answering(value: int | None) -> Callable[[], Awaitable[int]]:
        async def ask() -> int:
            if value is None:
                raise ConnectionError("away")
            return value

        return ask

    with pytest.raises(ConnectionError, match="away"):
        await shared.get("a", answering(None))
    assert await shared.get("a", answering(5)) == 5

"""Calls that run at the same time: their results are in order, and none goes on behind the error of another."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dashboard.trace_view import trace_view
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError


class Endless:
    """A call that ends only by being cancelled."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> None:
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def after(began: asyncio.Event, error: Exception) -> None:
    await began.wait()
    raise error


async def one(value: Any) -> Any:
    return value


async def test_results_are_in_the_order_of_the_calls() -> None:
    assert await answers_of(one(1), one("b"), one(None), one(4), one(5)) == (1, "b", None, 4, 5)


async def test_the_first_error_is_raised_when_the_other_calls_have_ended() -> None:
    endless = Endless()
    with pytest.raises(ApiError, match="away"):
        await answers_of(endless(), after(endless.began, ApiError("away", status=503)))
    assert endless.was_cancelled


async def test_who_no_longer_waits_ends_all_calls() -> None:
    endless = [Endless(), Endless()]
    task = asyncio.create_task(answers_of(*[each() for each in endless]))
    for each in endless:
        await each.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(each.was_cancelled for each in endless)


async def test_a_page_that_fails_leaves_no_question_behind() -> None:
    endless = Endless()

    async def get(path: str, *_: Any) -> Any:
        await (after(endless.began, ApiError("away", status=503)) if "/traces/" in path else endless())

    viewer: Any = SimpleNamespace(api=SimpleNamespace(get=get))
    with pytest.raises(ApiError, match="away"):
        await trace_view(viewer, "a trace", "01970000-0000-8000-8000-9b11edf90000")
    assert endless.was_cancelled

"""Coroutines that run at the same time: the first error cancels the others and is raised."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, overload

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
async def answers_of(first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], /) -> tuple[A, B]: ...
@overload
async def answers_of(
    first: Coroutine[Any, Any, A], second: Coroutine[Any, Any, B], third: Coroutine[Any, Any, C], /
) -> tuple[A, B, C]: ...
@overload
async def answers_of(
    first: Coroutine[Any, Any, A],
    second: Coroutine[Any, Any, B],
    third: Coroutine[Any, Any, C],
    fourth: Coroutine[Any, Any, D],
    /,
) -> tuple[A, B, C, D]: ...
@overload
async def answers_of(*questions: Coroutine[Any, Any, A]) -> tuple[A, ...]: ...
async def answers_of(*questions: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """The answers, in the order of the questions. The first error ends the other questions, and is raised.

    A task group does the same, but its error and its frame hold each other, and both would wait for the collector.
    """
    tasks = [asyncio.create_task(each) for each in questions]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        while tasks:
            tasks[-1].cancel()
            await asyncio.wait([tasks.pop()])

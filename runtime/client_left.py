"""Work for a request that ends when its client leaves: `until_gone` and `result_unless_gone`."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

_T = TypeVar("_T")


async def until_gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    """Return when the client has left; `receive` is that of the request, whose body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def result_unless_gone(gone: asyncio.Future[None], work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of the work; None if the client leaves before, which ends the work."""
    task = asyncio.ensure_future(work)
    both: list[asyncio.Future[Any]] = [task, gone]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return None if gone.done() else await task
    finally:
        task.cancel()

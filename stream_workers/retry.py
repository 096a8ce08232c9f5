"""Trying again in place: an engine that is away stops the poll at hand, and not the worker."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.logs import told

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass
class Backoff:
    """Waits between tries, in seconds: doubling from `first` up to `most`."""

    first: float = 0.1
    most: float = 5.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def until_done(
    what: str, action: Callable[[], Awaitable[Result]], backoff: Backoff, require: Callable[[], None]
) -> Result:
    """Call the action until it succeeds. `require` raises when it is no longer wanted, before or after a try."""
    delay = backoff.first
    while True:
        require()
        try:
            result = await action()
        except Exception as error:
            log.warning("%s failed, trying again in %.1f s: %s", what, delay, told(error))
            await backoff.sleep(delay)
            delay = min(delay * 2, backoff.most)
        else:
            require()
            return result

"""Trying again in place: an engine that is away stops the poll at hand, and not the worker.

Only what is known to pass is tried for ever. Anything else, be it a mistake in the code or a table that is not as this
version knows it, would be hidden by that: it is logged whole, tried a few times more, and then raised.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from runtime.engine_errors import trouble_of
from runtime.log_setup import told
from runtime.metrics import UNFORESEEN_FAILURES
from stream_workers.health import VITALS

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MOST_UNFORESEEN = 5
"""Tries after failures that are not known to pass."""

_UNFORESEEN_PAUSE_S = 1.0

SLOW_S = 5.0
_SLOW_AGAIN_S = 30.0


@dataclass
class Backoff:
    """Waits between tries, in seconds: doubling from `first` up to `most`."""

    first: float = 0.1
    most: float = 5.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def until_done(
    what: str, action: Callable[[], Awaitable[Result]], backoff: Backoff, require: Callable[[], None]
) -> Result:
    """Call the action until it succeeds; raises what it raises, where that will not pass, at the last of a few tries.

    `require` raises when it is no longer wanted, before or after a try.
    """
    delay, unforeseen = backoff.first, 0
    while True:
        require()
        try:
            with _ToldWhileSlow(what):
                result = await action()
        except Exception as error:
            trouble = trouble_of(error)
            if trouble.passes:
                VITALS.waits_for(trouble.engine or "an engine", f"{what} fails: {trouble.told}")
                log.warning("%s failed, trying again in %.1f s: %s: %s", what, delay, trouble.told, told(error))
            else:
                UNFORESEEN_FAILURES.add()
                unforeseen += 1
                number = f"{what} failed, try {unforeseen} of {MOST_UNFORESEEN}: {trouble.told}"
                log.error("%s", number, exc_info=error)
                if unforeseen == MOST_UNFORESEEN:
                    raise
                delay = max(delay, _UNFORESEEN_PAUSE_S)
            await backoff.sleep(delay)
            delay = min(delay * 2, backoff.most)
        else:
            VITALS.waits_for_nothing()
            require()
            return result


class _ToldWhileSlow:
    """Says that an engine takes long, while it does: a frozen one raises nothing for minutes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def __enter__(self) -> None:
        self._next = self._loop.call_later(SLOW_S, self._tell)

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    def _tell(self) -> None:
        why = f"{self._what} has had no answer for {self._loop.time() - self._began:.0f} s"
        VITALS.waits_for("an engine", why)
        log.warning("%s: is the engine frozen or overloaded?", why)
        self._next = self._loop.call_later(_SLOW_AGAIN_S, self._tell)

"""Retries of a call in place: an engine that is away stops the present batch, and not the worker.

Only an error that is known to be temporary is retried without end. Any other error, such as a mistake in the code or a
table that this version does not know, would be hidden by that. It is logged with its stack trace, retried a few times,
and then raised.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from runtime.engine_errors import classify_error
from runtime.log_setup import safe_error_text
from runtime.metrics import UNFORESEEN_FAILURES
from stream_workers.health import HEALTH

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MOST_UNFORESEEN = 5
"""Tries of a call that fails with errors that are not known to be temporary."""

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
    """Call the action until it succeeds; an error that is not temporary is raised after a few tries.

    `require` is called before each try and after the last one, and raises if the result is no longer wanted.
    """
    delay, unforeseen = backoff.first, 0
    while True:
        require()
        try:
            with _SlowWarning(what):
                result = await action()
        except Exception as error:
            failure = classify_error(error)
            if failure.is_temporary:
                HEALTH.set_blocked(failure.engine or "an engine", f"{what} fails: {failure.summary}")
                log.warning(
                    "%s failed, trying again in %.1f s: %s: %s", what, delay, failure.summary, safe_error_text(error)
                )
            else:
                UNFORESEEN_FAILURES.add()
                unforeseen += 1
                number = f"{what} failed, try {unforeseen} of {MOST_UNFORESEEN}: {failure.summary}"
                log.error("%s", number, exc_info=error)
                if unforeseen == MOST_UNFORESEEN:
                    raise
                delay = max(delay, _UNFORESEEN_PAUSE_S)
            await backoff.sleep(delay)
            delay = min(delay * 2, backoff.most)
        else:
            HEALTH.clear_blocked()
            require()
            return result


class _SlowWarning:
    """Logs that an engine takes long, while it does: a frozen engine raises nothing for minutes."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def __enter__(self) -> None:
        self._next = self._loop.call_later(SLOW_S, self._warn)

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    def _warn(self) -> None:
        why = f"{self._what} has had no answer for {self._loop.time() - self._began:.0f} s"
        HEALTH.set_blocked("an engine", why)
        log.warning("%s: is the engine frozen or overloaded?", why)
        self._next = self._loop.call_later(_SLOW_AGAIN_S, self._warn)

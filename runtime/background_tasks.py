"""Tasks that run for the life of a program. One that ends is logged and started again, or the program ends.

A task can end by an exception, by returning, or by a cancellation that nobody asked for, for example when a library
leaks the cancellation of one of its own tasks. While the program runs, all of these are failures. So all work that
lasts as long as the program is a `BackgroundTask`, or ends the program with `end_program` where it cannot be started
again. A test finds tasks and threads that are started in other ways.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from runtime.metrics import TASK_RESTARTS
from runtime.restart_backoff import Restarts

# With their pauses these take half a minute, so a short disturbance ends no program.
_MOST_ENDS = 10
_ENDS_WITHIN_S = 30.0

log = logging.getLogger(__name__)
_reasons: list[str] = []


class BackgroundTask:
    """One such task. `name` says in two or three words what it does; `work` starts it, also after it has ended.

    `give_up` is called with the reason when the task has ended too often.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Coroutine[Any, Any, None]],
        give_up: "Callable[[str], None] | None" = None,
    ) -> None:
        self.name = name
        self._work = work
        self._give_up = give_up or end_program
        self._restarts = Restarts(most=_MOST_ENDS)
        self._task: asyncio.Task[None] | None = None
        self._next_start: asyncio.TimerHandle | None = None
        self._stopping = False

    def start(self) -> None:
        """Start the task, and start it again whenever it ends, until `stop`."""
        self._stopping, self._next_start = False, None
        self._task = asyncio.get_running_loop().create_task(self._work(), name=self.name)
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Cancel it and wait until it has ended; it is not started again."""
        self._stopping = True
        if self._next_start is not None:
            self._next_start.cancel()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._stopping:
            return
        TASK_RESTARTS.add(self.name)
        why = "was cancelled by nobody's wish" if task.cancelled() else "failed" if error else "ended by itself"
        pause = self._restarts.pause_after(time.monotonic())
        if pause is None:
            log.critical("%s %s", self.name, why, exc_info=error)
            self._give_up(f"{self.name} {why}, for the {_MOST_ENDS}th time within a minute")
            return
        log.error("%s %s and is started again in %.1f s", self.name, why, pause, exc_info=error)
        self._next_start = task.get_loop().call_later(pause, self.start)


def end_program(why: str) -> None:
    """Log the reason and end the program as SIGTERM does, but with exit code 1, and within seconds in any case."""
    log.critical("%s: the program ends; its supervisor has to start it again", why)
    if _reasons:
        return
    _reasons.append(why)
    at_the_latest = threading.Timer(_ENDS_WITHIN_S, os._exit, (1,))
    at_the_latest.daemon = True
    at_the_latest.start()
    os.kill(os.getpid(), signal.SIGTERM)


def exit_code() -> int:
    """The exit code of the program: 1 if `end_program` has ended it, else 0."""
    return 1 if _reasons else 0

"""Supervises programs: runs each in its own session with a log file, and restarts it with backoff when it dies.

Promises that no program outlives the supervisor, not even a kill -9 of it (on Linux, where the kernel ends them), that
a program which dies at its first start or too often is reported once with the reason, and that `stop` and `kill` return
only when the process is gone. A coroutine may run while a program is up. The order of programs is left to the caller.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from deploy.up.disk import LEAST_FOR_LOGS, free_bytes
from runtime.restart_backoff import Restarts

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1
_LAST_GRACE_S = 5.0


Command = tuple[list[str], Mapping[str, str]]  # argv and environment


class ProgramError(RuntimeError):
    """A program does not run. The message is for a person and says where to look."""


class NotReadyError(RuntimeError):
    """A process runs, but is not ready in time."""


class _Ending(NamedTuple):
    verb: str
    why: str


class Program:
    """One supervised program. `ready` waits until a started process is ready, and is cancelled if the process dies.
    A program without it is ready as soon as it runs.

    `command` is awaited before each start and may delay it. `watch` waits until a running process has to be restarted,
    and returns the reason. `failed` is called once, when the program is given up: its first start failed, or it died
    more often than `restarts` allows. `note` is added to each message about its death; a death with a note has a
    cause outside the program and does not count.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[], Awaitable[Command]],
        ready: Callable[[], Awaitable[None]] | None,
        log: Path,
        failed: Callable[[Exception], None],
        say: Callable[[str], None],
        watch: Callable[["Program"], Awaitable[str]] | None = None,
        restarts: Callable[[], Restarts] = Restarts,
        note: Callable[[], str] = lambda: "",
        start_deadline: float = 60.0,
    ) -> None:
        self.name = name
        self.log = log
        self.is_ready = asyncio.Event()
        self._command, self._wait_until_ready, self._failed, self._say = command, ready, failed, say
        self._note = note
        self._watch, self._restarts, self._start_deadline = watch, restarts, start_deadline
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0
        self._was_ready = False
        self.starts = 0
        self._keeping: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self, while_up: Callable[[], Awaitable[None]] | None = None) -> None:
        """Start to supervise the program. `while_up` runs each time it is ready, until it dies or is stopped."""
        self._stopping = False
        self._keeping = asyncio.create_task(self._keep(while_up), name=self.name)

    async def stop(self, grace: float) -> None:
        """End the process with SIGTERM, after `grace` seconds with SIGKILL, and do not restart it."""
        self._stopping = True
        if (process := self._running()) is not None:
            await self._ask_to_end(process, grace)
        await self.kill()

    async def _ask_to_end(self, process: asyncio.subprocess.Process, grace: float) -> None:
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)  # a halted process would not receive it
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), grace)

    async def kill(self) -> None:
        """Kill the process and do not restart it."""
        self._stopping = True
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
            self._keeping = None

    def signal(self, number: int) -> None:
        """Send a signal to the process and its children, if it runs."""
        if (process := self._running()) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)

    def _running(self) -> asyncio.subprocess.Process | None:
        return self._process if self._process is not None and self._process.returncode is None else None

    async def _keep(self, while_up: Callable[[], Awaitable[None]] | None) -> None:
        deaths = self._restarts()
        try:
            while True:
                ending = await self._run_once(while_up)
                if self._stopping:
                    return
                if not self._was_ready:
                    raise ProgramError(
                        f"{self.name} did not start: {ending.why}.{self._note()}"
                        f" The end of {self.log}:\n{self._last_lines()}"
                    )
                note = self._note()
                pause = deaths.longest if note else deaths.pause_after(time.monotonic())
                if pause is None:
                    raise ProgramError(f"{self.name} died {deaths.most} times within a minute: see {self.log}.")
                when = f" in {pause:.0f} s" if pause > 5 else ""
                self._say(
                    f"{self.name} {ending.verb} ({ending.why}) and is started again{when}; its log is {self.log}.{note}"
                )
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            if not self._stopping:
                self._failed(ProgramError(f"{self.name} is watched over no more: its watcher was cancelled."))
            raise
        except Exception as error:
            self._failed(error)

    async def _run_once(self, while_up: Callable[[], Awaitable[None]] | None) -> _Ending:
        """Start the process and wait for its end; how it ended. Leaves nothing running, however this ends."""
        argv, environment = await self._command()
        self.starts += 1
        with self._open_log() as log:
            self._log_start = log.tell()
            process = self._process = await _spawn(argv, environment, log)
        serving = asyncio.create_task(self._serve(while_up))
        exited = asyncio.create_task(process.wait())
        unwell = asyncio.create_task(self._until_unwell())
        try:
            await asyncio.wait({serving, exited, unwell}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                try:
                    await serving
                except NotReadyError:
                    return _Ending("was ended", f"it was not ready within {self._start_deadline:g} s")
                await asyncio.wait({exited, unwell}, return_when=asyncio.FIRST_COMPLETED)
            if not exited.done() and not self._stopping:
                why = await unwell
                await self._ask_to_end(process, _LAST_GRACE_S)
                return _Ending("was ended", why)
            return _Ending("died", _ending(await exited))
        finally:
            self.is_ready.clear()
            self.signal(signal.SIGKILL)
            serving.cancel()
            unwell.cancel()
            # Wait for all of them: no task may outlive the process.
            await asyncio.wait({serving, exited, unwell})

    def _open_log(self) -> BinaryIO:
        """The log, or nowhere: what cannot be logged must not keep a program from its work."""
        try:
            self.log.parent.mkdir(exist_ok=True)
            if free_bytes(self.log.parent) >= LEAST_FOR_LOGS:
                return self.log.open("ab")
            why = "its disk is full"
        except OSError as error:
            why = error.strerror or type(error).__name__
        self._say(f"{self.name} is started without a log: {self.log} cannot be written ({why}).")
        return Path(os.devnull).open("ab")

    async def _serve(self, while_up: Callable[[], Awaitable[None]] | None) -> None:
        try:
            # At a later start an engine may be away; then `watch` decides whether the process itself is at fault.
            if self._wait_until_ready is not None:
                await asyncio.wait_for(self._wait_until_ready(), None if self._was_ready else self._start_deadline)
        except TimeoutError:
            raise NotReadyError from None
        self._was_ready = True
        self.is_ready.set()
        if while_up is not None:
            await while_up()

    async def _until_unwell(self) -> str:
        """Wait until the process has to be restarted; the reason."""
        if self._watch is None:
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")
        return await self._watch(self)

    def _last_lines(self, count: int = 15) -> str:
        """The last lines that the latest process has written."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        except OSError as error:
            return f"  (it cannot be read: {error.strerror})"
        return "\n".join(f"  {line}" for line in lines[-count:]) or "  (it wrote nothing)"


async def _spawn(argv: list[str], environment: Mapping[str, str], log: BinaryIO) -> asyncio.subprocess.Process:
    supervisor = os.getpid()

    def die_with_supervisor() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # the supervisor died before prctl was called
            os._exit(1)

    return await asyncio.create_subprocess_exec(
        *argv,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # so that Ctrl-C reaches only the supervisor
        preexec_fn=die_with_supervisor,
    )


def _ending(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"

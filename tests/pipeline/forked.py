"""Starts our programs by forking a process that has imported them: a start takes a quarter of the CPU.

What is forked runs a program as `python -m MODULE` does. `feedback up` and the documents' commands are tested by starts
from nothing.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing import connection
from pathlib import Path

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["tests.pipeline.preloaded", __name__])


class Forked:
    """A running `[python, "-m", module, …]`, with the methods of subprocess.Popen that tests need."""

    def __init__(self, argv: list[str], log: Path, environment: Mapping[str, str], folder: Path) -> None:
        """Start it in this environment and folder. What it prints is appended to the log."""
        self._process = _forking.Process(target=_run, args=(argv[2:], log, dict(environment), folder), daemon=True)
        self._process.start()
        self._looking = threading.Lock()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Its exit code once it has ended; the negative number of the signal that ended it."""
        with self._looking:
            return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, as a crash does."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. TimeoutExpired if it runs for so many seconds."""
        connection.wait([self._process.sentinel], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired([self._process.name], timeout or 0)
        return code


def ended(
    module: str, *arguments: str, log: Path, environment: Mapping[str, str], seconds: float = 60
) -> tuple[int, str]:
    """The exit code of a program that ends by itself, and what it has printed."""
    program = Forked([sys.executable, "-m", module, *arguments], log, environment, Path(__file__).parents[2])
    try:
        return program.wait(seconds), log.read_text()
    finally:
        program.kill()


def _run(argv: list[str], log: Path, environment: dict[str, str], folder: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.argv = argv
    runpy.run_module(argv[0], run_name="__main__", alter_sys=True)

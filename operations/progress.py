"""Progress of a long command: how much is done, of how much, and how long the rest will take.

On a terminal it is one line, written again in place; elsewhere it is one line a minute, so that a log stays short. It
goes to stderr: what a command prints as its result is never mixed with it.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

_EVERY_S, _EVERY_S_ON_A_TERMINAL = 60.0, 0.2
_CLEAR_LINE = "\r\x1b[2K"

Advance = Callable[[int], None]
"""Called with how many more rows are done."""


class Progress:
    """Shows the progress of one step of work after the other."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._is_shown = False

    def say(self, sentence: str) -> None:
        """Write a line that stays."""
        self._clear()
        print(sentence, file=self._stream, flush=True)

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Advance]:
        """A step of `total` rows, such as "rows compared". What is yielded is to be called as rows are done."""
        done, began = 0, self._clock()
        shown = began if not self._is_terminal else began - _EVERY_S_ON_A_TERMINAL

        def advance(by: int) -> None:
            nonlocal done, shown
            done += by
            now = self._clock()
            if now - shown >= (_EVERY_S_ON_A_TERMINAL if self._is_terminal else _EVERY_S):
                shown = now
                self._show(line(what, done, total, now - began))

        try:
            yield advance
        finally:
            self._clear()

    def _show(self, text: str) -> None:
        if self._is_terminal:
            columns = shutil.get_terminal_size().columns
            self._stream.write(_CLEAR_LINE + text[: columns - 1])
            self._is_shown = True
        else:
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def _clear(self) -> None:
        if self._is_shown:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
            self._is_shown = False


def line(what: str, done: int, total: int, elapsed_s: float) -> str:
    """One line of progress, as in `rows compared: 1,200 of 4,800 (25 %), about 3 min left`."""
    total = max(total, done)
    share = f" ({100 * done // total} %)" if total else ""
    is_telling = elapsed_s >= 1 and 0 < done < total
    left = f", about {_duration(elapsed_s * (total - done) / done)} left" if is_telling else ""
    return f"{what}: {done:,} of {total:,}{share}{left}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

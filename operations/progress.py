"""Shows the progress of a long command: how much is done, of how much, and how long the rest will take.

On a terminal it rewrites one line in place; elsewhere it writes a line a minute, so that a log stays short. It writes
to stderr, so that it never mixes with the result of the command.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO, TypeVar

_EVERY_S, _EVERY_S_ON_A_TERMINAL = 60.0, 0.2
_CLEAR_LINE = "\r\x1b[2K"

Advance = Callable[[int], None]
"""Called with the number of rows that have been done since the last call."""


class _HasRows(Protocol):
    @property
    def rows(self) -> int: ...


_Part = TypeVar("_Part", bound=_HasRows)


class Progress:
    """Shows the progress of consecutive steps."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._is_shown = False

    def say(self, sentence: str) -> None:
        """Write a line that is not overwritten."""
        self._clear()
        print(sentence, file=self._stream, flush=True)

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Advance]:
        """A step of `total` rows, such as "rows compared". The caller calls what is yielded as rows are done."""
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

    def track(self, what: str, parts: Iterable[_Part]) -> Iterator[_Part]:
        """The parts, one after the other, as one step. A part is done when the next one is asked for."""
        parts = list(parts)
        with self.step(what, sum(part.rows for part in parts)) as advance:
            for part in parts:
                yield part
                advance(part.rows)

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

"""Logging of every program: one line a record on stderr, as text or as a JSON object.

Promises that no line holds data of callers. Of an exception a line has the type and the code locations that it passed,
never the message, because messages of pydantic, msgspec and ClickHouse quote values. Promises as well that no code
location fills a disk: after a burst each may log once a second, with the number of lines that were left out. A line
that a caller was told to look for is always written, but after the burst it is short: a few hundred bytes.
"""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Hashable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from runtime.times import rfc3339_of

Format = Literal["text", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current HTTP request; empty outside of one."""

_ROOT = str(Path(__file__).parents[1]) + "/"
_MOST_FRAMES = 20
_MOST_TYPES = 8
_MOST_CHARS = 2_000
_BURST, _A_SECOND, _MOST_PLACES = 20, 1.0, 10_000
_CODE = re.compile(r"\bCode: (\d+)\b")
_CODE_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")


def safe_error_text(error: BaseException) -> str:
    """A text for an error that quotes no data: the code of a ClickHouse error, the message of a network error."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if code := _CODE.search(text):
        names = _CODE_NAME.findall(text)
        return f"{kind}: code {code[1]}" + (f" {names[-1]}" if names else "")
    if isinstance(error, OSError) or type(error).__module__.startswith(("aiokafka.", "aiohttp.")):
        return f"{kind}: {text[:300]}" if text else kind
    return kind


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, its fields after the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{at},{int(record.msecs):03} {record.levelname} {record.name}: {_message(record)}{fields}"
        return line.replace("\n", " ")


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object, its fields beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = rfc3339_of(datetime.fromtimestamp(record.created, UTC))
        line = {"time": at, "level": record.levelname.lower(), "logger": record.name, "message": _message(record)}
        return msgspec.json.encode(line | _fields(record), enc_hook=str).decode()


class FloodFilter(logging.Filter):
    """Lets each place log 20 lines at once, and one line a second after that.

    A place is the code location that logs, the level, and the location where the exception was raised. So a flood of
    refused requests hides no bug, and one bug hides no other. A `promised` line always passes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # By place: how many lines it may still log, as of when, and how many have been left out.
        self._places: dict[Hashable, tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged. Its field `not_logged` then says how many before it were left out.

        A record that passes only because it was promised becomes `short`.
        """
        place, now = (record.pathname, record.lineno, record.levelno, _raised_at(record)), self._clock()
        left, at, left_out = self._places.get(place, (_BURST, now, 0))
        left = min(_BURST, left + (now - at) * _A_SECOND)
        passes = left >= 1
        if not passes and getattr(record, "promised", False):
            record.short = True
            return True
        if len(self._places) < _MOST_PLACES or place in self._places:
            self._places[place] = (left - 1, now, 0) if passes else (left, now, left_out + 1)
        if passes and left_out:
            record.not_logged = left_out
        return passes


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """The value of `extra=` that adds these fields to a line."""
    return {"fields": values}


def promised_fields(**values: Any) -> dict[str, Any]:
    """The same for a line that a caller is told to look for: it is never left out."""
    return fields(**values) | {"promised": True}


def config(format_: Format, **levels: int) -> dict[str, Any]:
    """The argument of `logging.config.dictConfig`: WARNING and above to stderr, and these loggers at these levels."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"flood": {"()": FloodFilter}},
        "formatters": {"line": {"()": JsonFormatter if format_ == "json" else TextFormatter}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "line",
                "filters": ["flood"],
            }
        },
        "root": {"level": logging.WARNING, "handlers": ["stderr"]},
        "loggers": {name: {"level": level} for name, level in levels.items()},
    }


def log_uncaught_errors() -> None:
    """Log exceptions that end the program or a thread in the same format as everything else."""

    def log_it(kind: type[BaseException], error: BaseException | None) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            logging.getLogger("uncaught").critical("an exception that nothing catches", exc_info=error)

    sys.excepthook = lambda kind, error, _: log_it(kind, error)
    threading.excepthook = lambda arguments: log_it(arguments.exc_type, arguments.exc_value)


def _message(record: logging.LogRecord) -> str:
    """The message; an exception in its arguments is shown by its type alone."""
    message, given = record.msg, record.args
    if isinstance(given, tuple):
        given = tuple(map(_safe, given))
    if isinstance(message, BaseException):
        return type(message).__name__
    text = str(message) % given if given else str(message)
    # asyncio's message is in the first line; the others show tasks with their exceptions.
    text = text.split("\n", 1)[0] if record.name == "asyncio" else text
    return _cut(text)


def _safe(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = dict(getattr(record, "fields", {}))
    if request_id := REQUEST_ID.get():
        found["request_id"] = request_id
    if left_out := getattr(record, "not_logged", 0):
        found["not_logged"] = left_out
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        found["error"] = _cut(_types(error))
        if not getattr(record, "short", False):
            found["at"] = _places(error)
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 1]}…"


def _raised_at(record: logging.LogRecord) -> tuple[str, int] | None:
    """Where the exception of the record was raised."""
    step = record.exc_info[2] if record.exc_info else None
    if step is None:
        return None
    while step.tb_next is not None:
        step = step.tb_next
    return step.tb_frame.f_code.co_filename, step.tb_lineno


def _types(error: BaseException) -> str:
    """The type of the exception, and of its causes."""
    names: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(names) < _MOST_TYPES:
        members = cause.exceptions[:_MOST_TYPES] if isinstance(cause, BaseExceptionGroup) else ()
        names.append(
            type(cause).__name__ + (f" of {', '.join(type(each).__name__ for each in members)}" if members else "")
        )
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " from ".join(names)


def _places(error: BaseException) -> list[str]:
    """The code locations that the exception passed, the innermost first."""
    frames = traceback.extract_tb(error.__traceback__, -_MOST_FRAMES)
    return [f"{frame.filename.removeprefix(_ROOT)}:{frame.lineno} {frame.name}" for frame in reversed(frames)]

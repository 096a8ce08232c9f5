"""How every program says what happens: one line a record on stderr, as text or as one JSON object.

Promises that a line holds nothing of what callers send. Exceptions are told by their type and the places they passed,
never by their message, which may quote a value: pydantic's, msgspec's and ClickHouse's do. And that no place in the
code fills a disk: beyond a burst each is heard once a second, with the number of lines it was not heard for.
"""

import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

Format = Literal["text", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the HTTP request at hand; empty outside of one."""

_ROOT = str(Path(__file__).parents[1]) + "/"
_MOST_FRAMES = 20
_BURST, _A_SECOND, _MOST_PLACES = 20, 1.0, 10_000
_CODE = re.compile(r"\bCode: (\d+)\b")
_CODE_NAME = re.compile(r"\(([A-Z][A-Z0-9_]+)\)")


def told(error: BaseException) -> str:
    """An error in words that quote no data: of ClickHouse's the code and its name, of the network's all."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if code := _CODE.search(text):
        names = _CODE_NAME.findall(text)
        return f"{kind}: code {code[1]}" + (f" {names[-1]}" if names else "")
    if isinstance(error, OSError) or type(error).__module__.startswith(("aiokafka.", "aiohttp.")):
        return f"{kind}: {text[:300]}" if text else kind
    return kind


class Lines(logging.Formatter):
    """A record as one line of text, its fields behind the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{at},{int(record.msecs):03} {record.levelname} {record.name}: {_message(record)}{fields}"
        return line.replace("\n", " ")


class JsonLines(logging.Formatter):
    """A record as one JSON object, its fields beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": at, "level": record.levelname.lower(), "logger": record.name, "message": _message(record)}
        return orjson.dumps(line | _fields(record), default=str).decode()


class Flood(logging.Filter):
    """Lets each place in the code speak 20 times at once, and once a second thereafter."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        # By place: how many lines it may still say, when that was so, and how many it was not heard for.
        self._places: dict[tuple[str, int], tuple[float, float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is heard; then `not_logged` says how many before it were not."""
        place, now = (record.pathname, record.lineno), self._clock()
        left, at, unheard = self._places.get(place, (_BURST, now, 0))
        left = min(_BURST, left + (now - at) * _A_SECOND)
        heard = left >= 1
        if len(self._places) < _MOST_PLACES or place in self._places:
            self._places[place] = (left - 1, now, 0) if heard else (left, now, unheard + 1)
        if heard and unheard:
            record.not_logged = unheard
        return heard


def fields(**values: Any) -> dict[str, dict[str, Any]]:
    """For `extra=`: what a line says beside its message, by name."""
    return {"fields": values}


def config(format_: Format, **levels: int) -> dict[str, Any]:
    """For `logging.config.dictConfig`: WARNING and above on stderr, and of these loggers what they are set to."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"flood": {"()": Flood}},
        "formatters": {"line": {"()": JsonLines if format_ == "json" else Lines}},
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


def log_what_nobody_catches() -> None:
    """Let exceptions that end the program or a thread be lines like all others."""

    def log_it(kind: type[BaseException], error: BaseException | None) -> None:
        if not issubclass(kind, KeyboardInterrupt | SystemExit):
            logging.getLogger("uncaught").critical("an exception that nothing catches", exc_info=error)

    sys.excepthook = lambda kind, error, _: log_it(kind, error)
    threading.excepthook = lambda arguments: log_it(arguments.exc_type, arguments.exc_value)


def _message(record: logging.LogRecord) -> str:
    """The message, with the type of each exception that it names instead of what that says."""
    message, given = record.msg, record.args
    if isinstance(given, tuple):
        given = tuple(map(_safe, given))
    if isinstance(message, BaseException):
        return type(message).__name__
    text = str(message) % given if given else str(message)
    # What asyncio has to say is in the first line; the others show tasks with their exceptions.
    return text.split("\n", 1)[0] if record.name == "asyncio" else text


def _safe(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = dict(getattr(record, "fields", {}))
    if request_id := REQUEST_ID.get():
        found["request_id"] = request_id
    if unheard := getattr(record, "not_logged", 0):
        found["not_logged"] = unheard
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        found |= {"error": _types(error), "at": _places(error)}
    return found


def _types(error: BaseException) -> str:
    """The type of the exception, and of those that it came from."""
    names = [type(error).__name__]
    if isinstance(error, BaseExceptionGroup):
        names[0] += f" of {', '.join(_types(each) for each in error.exceptions)}"
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return " from ".join([*names, *([_types(cause)] if cause is not None else [])])


def _places(error: BaseException) -> list[str]:
    """Where it was raised, the innermost place first."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    return [f"{frame.filename.removeprefix(_ROOT)}:{frame.lineno} {frame.name}" for frame in reversed(frames)]

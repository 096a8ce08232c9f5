"""What a log line says, and what it never does."""

import json
import logging
import sys
from logging.config import dictConfig
from typing import Any

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from pydantic import TypeAdapter, ValidationError

from runtime.log_setup import (
    REQUEST_ID,
    FloodFilter,
    JsonFormatter,
    TextFormatter,
    config,
    fields,
    promised_fields,
    safe_error_text,
)

SECRET = "hunter2"
FORMATTERS = [TextFormatter(), JsonFormatter()]


def record(message: object, *args: object, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("here", logging.WARNING, __file__, 7, message, args, exc_info)
    made.__dict__.update(extra)
    return made


def raised(error: BaseException) -> BaseException:
    """The error as it is once it has been raised, with another for its cause."""
    try:
        try:
            raise ValueError(f"{SECRET} is no number")
        except ValueError as cause:
            raise error from cause
    except BaseException as found:
        return found


def invalid() -> ValidationError:
    """An error of pydantic, which quotes what it was given."""
    try:
        TypeAdapter(int).validate_python(SECRET)
    except ValidationError as error:
        return error
    raise AssertionError


def test_a_json_line_has_time_level_logger_message_fields_and_request_id() -> None:
    token = REQUEST_ID.set("r-1")
    try:
        line = json.loads(JsonFormatter().format(record("took %d s", 3, **fields(status=503))))
    finally:
        REQUEST_ID.reset(token)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "here",
        "message": "took 3 s",
        "status": 503,
        "request_id": "r-1",
    }


def test_a_record_is_one_line_whatever_it_says() -> None:
    for formatter in FORMATTERS:
        assert "\n" not in formatter.format(record("two\nlines", error=raised(KeyError("a\nb")), **fields(x="y\nz")))


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_no_line_quotes_what_an_exception_says(formatter: logging.Formatter) -> None:
    for error in (raised(KeyError(SECRET)), invalid(), raised(ExceptionGroup(SECRET, [ValueError(SECRET)]))):
        for line in (
            formatter.format(record("failed", error=error)),
            formatter.format(record("failed: %s and %r", error, error)),
            formatter.format(record(error)),
        ):
            assert SECRET not in line
            assert type(error).__name__ in line


def test_what_asyncio_shows_of_a_task_is_left_out() -> None:
    made = record(f"Task exception was never retrieved\nfuture: <Task exception=KeyError('{SECRET}')>")
    made.name = "asyncio"
    for formatter in FORMATTERS:
        assert SECRET not in formatter.format(made)


def test_an_exception_is_told_with_its_causes_and_the_places_it_passed() -> None:
    line = json.loads(JsonFormatter().format(record("failed", error=raised(KeyError("x")))))
    assert line["error"] == "KeyError from ValueError"
    assert line["at"][0].startswith("tests/unit/runtime/test_logs.py:")
    assert line["at"][0].endswith(" raised")


def test_an_engines_error_is_told_without_what_it_quotes() -> None:
    clickhouse = DatabaseError(
        f"Received ClickHouse exception, code: 27, server response: Code: 27. DB::Exception: Cannot parse '{SECRET}'"
        " as Int8. (CANNOT_PARSE_INPUT_ASSERTION_FAILED) (version 26.9.1.1)"
    )
    assert safe_error_text(clickhouse) == "DatabaseError: code 27 CANNOT_PARSE_INPUT_ASSERTION_FAILED"
    assert safe_error_text(ConnectionRefusedError(111, "Connection refused")).endswith("Connection refused")
    assert safe_error_text(ValueError(SECRET)) == "ValueError"


def test_a_place_that_floods_is_heard_once_a_second_and_says_how_often_it_was_not() -> None:
    now = 0.0
    flood = FloodFilter(lambda: now)
    heard = [flood.filter(record("refused")) for _ in range(1000)]
    assert (heard[:20], sum(heard)) == ([True] * 20, 20)
    now = 1.0
    again = record("refused")
    assert flood.filter(again)
    assert json.loads(JsonFormatter().format(again))["not_logged"] == 980
    assert not flood.filter(record("refused"))
    elsewhere = record("refused")
    elsewhere.lineno = 8
    assert flood.filter(elsewhere), "another place is not meant"


def test_every_logger_that_is_not_named_warns_on_stderr_in_this_format(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        dictConfig(config("json", chatty=logging.INFO, quiet=logging.CRITICAL + 1))
        root.handlers[0].setStream(sys.stderr)  # type: ignore[attr-defined]
        for name in ("chatty", "quiet", "other"):
            logging.getLogger(name).info("info of %s", name)
            logging.getLogger(name).warning("warning of %s", name)
    finally:
        root.handlers, root.level = before[0], before[1]
    lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["info of chatty", "warning of chatty", "warning of other"]


def test_what_a_caller_was_told_to_look_for_is_never_dropped_and_short_in_a_flood() -> None:
    flood = FloodFilter(lambda: 0.0)
    error = raised(KeyError(SECRET))
    lines = []
    for number in range(1000):
        one = record("internal error", error=error, **promised_fields())
        REQUEST_ID.set(f"r-{number}")
        assert flood.filter(one)
        lines.append(JsonFormatter().format(one))
    REQUEST_ID.set("")
    assert [json.loads(line)["request_id"] for line in lines] == [f"r-{number}" for number in range(1000)]
    assert {json.loads(line)["error"] for line in lines} == {"KeyError from ValueError"}
    assert ["at" in json.loads(line) for line in lines] == [True] * 20 + [False] * 980
    assert max(map(len, lines[20:])) < 250


def test_a_flood_of_one_kind_keeps_no_other_kind_from_being_heard() -> None:
    flood = FloodFilter(lambda: 0.0)
    for _ in range(1000):
        flood.filter(record("refused"))
        flood.filter(record("failed", error=raised(KeyError())))
    worse = record("refused")
    worse.levelno = logging.ERROR
    assert flood.filter(worse), "refusals of callers hide those that are no fault of theirs"
    assert flood.filter(record("failed", error=invalid())), "a fault hides another"
    assert not flood.filter(record("failed", error=raised(KeyError())))


@pytest.mark.parametrize("formatter", FORMATTERS)
def test_no_line_is_long(formatter: logging.Formatter) -> None:
    error: BaseException = KeyError()
    for _ in range(10_000):
        error = raised(ExceptionGroup("", [error] * 30))
    circle = KeyError()
    circle.__cause__ = circle
    for long in (record("x" * 1_000_000), record("failed", error=error), record("failed", error=circle)):
        assert len(formatter.format(long)) < 6000

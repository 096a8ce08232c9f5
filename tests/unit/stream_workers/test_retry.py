"""Which errors are retried without end, which only a few times, and when a worker stops to avoid dead letters."""

import asyncio
import errno
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ServerDisconnectedError
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaStorageError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFenced,
)
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError, ProgrammingError

from runtime.engine_errors import classify_error
from stream_workers.batches.dead_letter_share import (
    CAUSED_BY_CALLS,
    LEAST,
    WINDOW,
    DeadRecord,
    DeadShare,
    TooManyDeadError,
)
from stream_workers.health import ProgramHealth
from stream_workers.io import retry
from stream_workers.io.retry import MOST_UNFORESEEN, Backoff, until_done

ROOT = Path(__file__).parents[3]
PASSING = [
    ConnectionRefusedError(),
    TimeoutError(),
    ServerDisconnectedError(),
    OperationalError("Network Error"),
    DatabaseError("HTTP driver received HTTP status 503"),
    DatabaseError("…", code=252, name="TOO_MANY_PARTS"),
    DatabaseError("…", code=241, name="MEMORY_LIMIT_EXCEEDED"),
    DatabaseError("…", code=242, name="TABLE_IS_READ_ONLY"),
    DatabaseError("…", code=243, name="NOT_ENOUGH_SPACE"),
    KafkaConnectionError(),
    KafkaTimeoutError(),
    KafkaStorageError(),
    OSError(errno.ENOSPC, "No space left on device"),
]
LASTING = [
    TypeError("unsupported operand"),
    KeyError("model"),
    DatabaseError("…", code=60, name="UNKNOWN_TABLE"),
    DatabaseError("…", code=16, name="NO_SUCH_COLUMN_IN_TABLE"),
    DatabaseError("…", code=516, name="AUTHENTICATION_FAILED"),
    DatabaseError("…", code=62, name="SYNTAX_ERROR"),
    ProgrammingError("No data specified for insert"),
    MessageSizeTooLargeError(),
    ProducerFenced(),
]


def failing(*errors: Exception) -> tuple[Callable[[], object], list[Exception]]:
    left = list(errors)

    async def action() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return action, left


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize("error", PASSING, ids=repr)
async def test_a_temporary_error_is_retried_until_it_has_passed(error: Exception) -> None:
    action, left = failing(*[error] * 100)
    assert await until_done("insert", action, Backoff(sleep=no_sleep), lambda: None) == "done"  # type: ignore[arg-type]
    assert left == []


@pytest.mark.parametrize("error", LASTING, ids=repr)
async def test_an_error_that_is_not_temporary_is_logged_whole_and_raised_after_a_few_tries(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    action, left = failing(*[error] * 100)
    with pytest.raises(type(error)):
        await until_done("insert", action, Backoff(sleep=no_sleep), lambda: None)  # type: ignore[arg-type]
    assert len(left) == 100 - MOST_UNFORESEEN
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == MOST_UNFORESEEN
    assert all(record.exc_info and record.exc_info[1] is error for record in told)


async def test_temporary_errors_in_between_do_not_count() -> None:
    lasting = [TypeError()] * (MOST_UNFORESEEN - 1)
    action, _ = failing(*lasting, *[TimeoutError()] * 20)
    assert await until_done("insert", action, Backoff(sleep=no_sleep), lambda: None) == "done"  # type: ignore[arg-type]


async def test_an_engine_that_does_not_answer_is_logged_meanwhile(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    health = ProgramHealth(lambda: 0.0)
    monkeypatch.setattr(retry, "HEALTH", health)
    monkeypatch.setattr(retry, "SLOW_S", 0.0)
    answered = asyncio.Event()
    trying = asyncio.ensure_future(until_done("insert", answered.wait, Backoff(), lambda: None))
    async with asyncio.timeout(20):
        while not caplog.records:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert "insert has had no answer for 0 s: is the engine frozen or overloaded?" in caplog.text
    assert health.readiness().waits_for == "an engine"
    answered.set()
    await trying
    assert health.readiness().waits_for == ""


def test_a_full_disk_is_named_whoever_is_out_of_it() -> None:
    wrapped = OperationalError("Network Error")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    unwritten = DatabaseError("… Cannot write to file, errno: 28, strerror: No space left on device", code=75)
    full = [DatabaseError("…", code=243), KafkaStorageError(), OSError(errno.EDQUOT, "Quota"), wrapped, unwritten]
    assert {classify_error(each).kind for each in full} == {"disk full"}
    assert classify_error(full[0]).engine == "clickhouse"
    assert classify_error(DatabaseError("a value that says No space left on device", code=53)).kind == "other"
    assert classify_error(full[1]).engine == "kafka"


def test_a_missing_table_says_what_to_run() -> None:
    assert "run `feedback migrate`" in classify_error(DatabaseError("…", code=60, name="UNKNOWN_TABLE")).summary


def dead(reason: str) -> DeadRecord:
    return DeadRecord(reason, "no field `workspace`", "feedback.events.v1/3/17")


def test_a_worker_stops_where_most_records_cannot_be_read_and_says_why_of_the_first() -> None:
    share = DeadShare(0.5)
    share.count_batch(1000, [dead("invalid")] * 500)
    with pytest.raises(TooManyDeadError, match=r"1000 of the latest 1500 .*FEEDBACK_MAX_DEAD_SHARE=0\.5 ") as stopped:
        share.count_batch(500, [dead("invalid")] * 500)
    assert "(invalid 500; the first, feedback.events.v1/3/17: no field `workspace`)" in str(stopped.value)


def test_few_dead_letters_stop_nothing_and_one_more_does() -> None:
    share = DeadShare(0.5)
    for _ in range(LEAST - 1):
        share.count_batch(1, [dead("not_json")])
    with pytest.raises(TooManyDeadError):
        share.count_batch(1, [dead("not_json")])


def test_the_share_is_of_the_latest_records() -> None:
    share = DeadShare(0.5)
    share.count_batch(100_000, [])
    with pytest.raises(TooManyDeadError):
        share.count_batch(WINDOW, [dead("invalid")] * WINDOW)


def test_every_reason_of_the_join_but_one_is_one_that_calls_can_cause() -> None:
    join = "".join(
        (ROOT / f"stream_workers/join/{name}.py").read_text() for name in ("trace_join", "feedback", "trace_state")
    )
    assert set(re.findall(r'Conflict\(\s*"(\w+)"', join)) - {"foreign_id"} == CAUSED_BY_CALLS


def test_reasons_that_calls_can_cause_stop_nothing() -> None:
    share = DeadShare(0.5)
    for reason in sorted(CAUSED_BY_CALLS):
        share.count_batch(10_000, [dead(reason)] * 10_000)


@pytest.mark.parametrize("off", [0, 1])
def test_the_setting_turns_it_off(off: float) -> None:
    DeadShare(off).count_batch(10_000, [dead("invalid")] * 10_000)


def test_a_program_is_unready_until_it_reads_and_again_when_it_reads_nothing() -> None:
    now = 0.0
    health = ProgramHealth(lambda: now)
    assert health.readiness().fault == "no partitions have been assigned yet"
    health.note_fetch()
    assert health.readiness().fault == ""
    now = 61.0
    assert health.readiness().fault == "Kafka has been asked for nothing for 61 s"
    assert health.liveness().fault == ""


async def test_a_program_whose_event_loop_stands_still_is_not_alive() -> None:
    now = 0.0
    health = ProgramHealth(lambda: now)
    assert health.liveness().fault == ""
    turning = asyncio.ensure_future(health.watch_event_loop())
    await asyncio.sleep(0)
    now = 31.0
    assert health.liveness().fault == "the event loop has stood still for 31 s"
    turning.cancel()

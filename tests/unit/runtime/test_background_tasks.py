"""What runs for the life of a program is owned: however it ends, it is told and begun again, or the program ends."""

import ast
import asyncio
import logging
import os
import re
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mode import Service

from ingest_api.kafka import api_key_feed, producer_connection
from ingest_api.kafka.api_key_feed import ApiKeyFeed
from ingest_api.kafka.producer_connection import ProducerConnection
from ingest_api.settings import Settings
from query_api import api_key_feed as query_key_feed
from query_api.analytics import day_keeper
from query_api.analytics.day_keeper import DayKeeper
from query_api.analytics.request_days import DaysOfKey, KeyOfRequests
from query_api.exports import runs
from query_api.exports.runs import Runs
from runtime import background_tasks
from runtime.api_key_authentication import ApiKeyAuthenticator
from runtime.background_tasks import BackgroundTask
from runtime.kafka_consumer import stop_consumer
from runtime.metrics import TASKS
from runtime.restart_backoff import Restarts
from stream_workers.batches.faust_app import TaskCancelledError, batch_app
from stream_workers.io import output_producer
from stream_workers.io.output_messages import OutputMessage
from stream_workers.settings import WorkerSettings

ROOT = Path(__file__).parents[3]
ROOMS = (
    "schemas",
    "runtime",
    "ingest_api",
    "stream_workers",
    "query_api",
    "dashboard",
    "gateway",
    "operations",
    "deploy",
)
STARTERS = {"create_task", "ensure_future", "Task", "Thread", "Timer", "call_later", "start_http_server", "TaskGroup"}
# Where a task, a thread or a timer may be started, and who sees it end.
OWNED = {
    "runtime/background_tasks.py": "the owner itself; the timer ends the program",
    "runtime/health_server.py": "the thread ends the program when it ends",
    "stream_workers/io/retry.py": "a timer that speaks while a try lasts",
    "deploy/up/supervisor.py": "a watcher that ends gives its program up; others are awaited where they start",
    "deploy/up/run.py": "awaited where they are started",
    "deploy/up/system.py": "what ends badly ends `feedback up`",
    "deploy/embedded/clickhouse_app.py": "of one request",
    "dashboard/pages.py": "of one page, which ends it by its own end",
    "gateway/forward.py": "of one call, which ends it by its own end",
    "gateway/log_queue.py": "no error of a call's log ends the thread",
    "deploy/embedded/clickhouse_stream.py": "of one request",
    "runtime/idle_clients.py": "the next sweep is set before a sweep begins",
    "runtime/request_head_limits.py": "a timer that closes one connection",
    "ingest_api/kafka/publisher.py": "each ends one gathering or expiry; an error of theirs discards the producer",
    "query_api/exports/runs.py": "of one export, which tells its own end",
    "runtime/client_left.py": "of one request, which ends it by its own end",
    "runtime/concurrent_calls.py": "of one answer, which awaits them all",
    "stream_workers/batches/stage_pipeline.py": "of one consumer batch; any end but a stop ends the worker",
    "stream_workers/batches/app.py": "the end of the worker",
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Restarts, "pause_after", lambda self, now: 0.0)


def calls_of_starters() -> Iterator[tuple[str, int]]:
    for program in ROOMS:
        for file in sorted((ROOT / program).rglob("*.py")):
            source = file.read_text()
            for node in ast.walk(ast.parse(source)) if any(name in source for name in STARTERS) else ():
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    if name in STARTERS:
                        yield str(file.relative_to(ROOT)), node.lineno


def test_tasks_and_threads_are_started_only_where_somebody_sees_them_end() -> None:
    elsewhere = [f"{file}:{line}" for file, line in calls_of_starters() if file not in OWNED]
    assert elsewhere == [], "make it a runtime.background_tasks.BackgroundTask, or say in OWNED who sees it end"


def test_each_of_them_is_in_the_metric_from_the_start() -> None:
    named = set()
    for program in ROOMS:
        for file in (ROOT / program).rglob("*.py"):
            named |= set(re.findall(r'BackgroundTask\("([^"]+)"', file.read_text()))
    assert named == {name for names in TASKS.values() for name in names}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def returns() -> None:
    pass


async def raises() -> None:
    raise TypeError("not shown")


async def cancels_itself() -> None:
    own = asyncio.current_task()
    assert own is not None
    own.cancel()
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("end", "told"),
    [(returns, "ended by itself"), (raises, "failed"), (cancels_itself, "was cancelled by nobody's wish")],
)
async def test_however_it_ends_it_is_told_and_begins_again(
    end: Callable[[], Awaitable[None]], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            return await end()
        await asyncio.sleep(3600)

    task = BackgroundTask("counting sheep", work)
    task.start()
    await until(lambda: begun == 2)
    await task.stop()
    (record,) = caplog.records
    assert f"counting sheep {told} and is started again" in record.getMessage()
    assert bool(record.exc_info) is (end is raises)
    await asyncio.sleep(0)
    assert begun == 2


async def test_a_stop_starts_nothing_again_and_may_come_between_two_starts() -> None:
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1

    task = BackgroundTask("counting sheep", work)
    task.start()
    await asyncio.sleep(0)
    assert begun == 1
    await task.stop()
    for _ in range(3):
        await asyncio.sleep(0)
    assert begun == 1


async def test_what_ends_too_often_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pauses = iter([0.0] * 9)
    monkeypatch.setattr(Restarts, "pause_after", lambda self, now: next(pauses, None))
    reasons: list[str] = []
    task = BackgroundTask("counting sheep", raises, reasons.append)  # type: ignore[arg-type]
    task.start()
    await until(lambda: reasons)
    assert reasons == ["counting sheep failed, for the 10th time within a minute"]


def test_a_program_that_is_to_end_gets_a_sigterm_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    monkeypatch.setattr(threading.Timer, "start", lambda self: None)
    monkeypatch.setattr(background_tasks, "_reasons", [])
    assert background_tasks.exit_code() == 0
    background_tasks.end_program("counting sheep failed")
    background_tasks.end_program("and again")
    assert background_tasks.exit_code() == 1
    assert sent == [(os.getpid(), signal.SIGTERM)]


class Away:
    """Engines that do not answer."""

    def reader(self, seconds: float) -> "Away":
        return self

    async def rows(self, query: str, parameters: object = None) -> list[Any]:
        raise OSError("away")


async def key_feed_runs(stack: AsyncExitStack) -> BackgroundTask:
    feed = ApiKeyFeed("127.0.0.1:1", ApiKeyAuthenticator("nowhere"), lambda: 0)
    feed.start()
    stack.push_async_callback(feed.stop)
    return feed._task


async def producer_connection_runs(stack: AsyncExitStack) -> BackgroundTask:
    connection = ProducerConnection(Settings(kafka_bootstrap="127.0.0.1:1"), lambda why: None)
    connection.start()
    stack.push_async_callback(connection.stop)
    return connection._task


async def export_sweeper_runs(stack: AsyncExitStack) -> BackgroundTask:
    exports = Runs(None, None, None, Path("/nowhere"), timedelta(1), timedelta(1), None)  # type: ignore[arg-type]
    exports.sweep_in_background()
    stack.push_async_callback(exports.stop)
    return exports._sweeper


async def day_keeper_runs(stack: AsyncExitStack) -> BackgroundTask:
    keeper = DayKeeper(Away())  # type: ignore[arg-type]
    await stack.enter_async_context(keeper.running())
    for _ in range(2):
        keeper.ask(DaysOfKey(KeyOfRequests("w", "k", ""), date(2026, 1, 1), date(2026, 1, 2)))
    return keeper._task


async def stored_keys_run(stack: AsyncExitStack) -> BackgroundTask:
    made: list[BackgroundTask] = []

    class Noted(BackgroundTask):
        def start(self) -> None:
            made.append(self)
            super().start()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(query_key_feed, "BackgroundTask", Noted)
        patched.setattr(query_key_feed, "_START_S", 0.0)
        await stack.enter_async_context(query_key_feed.refreshing(ApiKeyAuthenticator("nowhere"), Away()))  # type: ignore[arg-type]
    return made[0]


LIFELONG = {
    key_feed_runs: (api_key_feed, "AIOKafkaConsumer"),
    producer_connection_runs: (producer_connection, "AIOKafkaProducer"),
    export_sweeper_runs: (runs, "sweep"),
    stored_keys_run: (query_key_feed, "now_ms"),
    day_keeper_runs: (day_keeper, "kept_days"),
}


@pytest.mark.parametrize("run", LIFELONG)
async def test_each_task_of_the_api_goes_on_after_a_cancellation_that_nobody_sent(run: Any) -> None:
    async with AsyncExitStack() as stack:
        task = await run(stack)
        former = task._task
        await asyncio.sleep(0)
        former.cancel()
        await until(lambda: task._task is not former and not task._task.done())
        with suppress(asyncio.CancelledError):
            await former


@pytest.mark.parametrize("run", LIFELONG)
async def test_each_task_of_the_api_goes_on_after_an_error_that_nobody_foresaw(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "runtime.background_tasks")
    module, name = LIFELONG[run]
    original, calls = getattr(module, name), 0

    def fails_once(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise TypeError("not shown")
        return original(*given, **named)

    monkeypatch.setattr(module, name, fails_once)
    async with AsyncExitStack() as stack:
        await run(stack)
        await until(lambda: calls > 1)
    told = [each for each in caplog.records if each.name == "runtime.background_tasks"]
    assert len(told) == 1
    assert "failed and is started again" in told[0].getMessage()
    assert told[0].exc_info


class Consumer:
    """Stops as aiokafka's does while a fetch of it pauses after a request that timed out."""

    def __init__(self) -> None:
        self._client, self.closed = self, False

    async def stop(self) -> None:
        pausing = asyncio.ensure_future(asyncio.sleep(60))
        await asyncio.sleep(0)
        pausing.cancel()
        await pausing

    async def close(self) -> None:
        self.closed = True


async def test_a_consumer_stops_although_a_cancellation_of_its_own_comes_out_of_it() -> None:
    consumer = Consumer()
    await stop_consumer(consumer)
    assert consumer.closed


async def test_whoever_stops_a_consumer_can_still_be_cancelled() -> None:
    class Hanging(Consumer):
        async def stop(self) -> None:
            await asyncio.sleep(3600)

    stopping = asyncio.ensure_future(stop_consumer(Hanging()))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_a_task_of_faust_that_is_cancelled_crashes_the_worker() -> None:
    batch_app(WorkerSettings(), "group", 1)

    class Sleeper(Service):  # type: ignore[misc]
        pass

    service = Sleeper()
    await service.start()
    task = service.add_future(asyncio.sleep(3600))
    await asyncio.sleep(0)
    task.cancel()
    await until(lambda: service.crashed)
    assert isinstance(service.crash_reason, TaskCancelledError)


async def test_a_task_of_faust_that_is_cancelled_at_a_stop_crashes_nothing() -> None:
    batch_app(WorkerSettings(), "group", 1)

    class Sleeper(Service):  # type: ignore[misc]
        pass

    service = Sleeper()
    await service.start()
    service.add_future(asyncio.sleep(3600))
    await asyncio.sleep(0)
    await service.stop()
    assert not service.crashed


async def test_a_worker_whose_producer_has_ended_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sender = asyncio.ensure_future(asyncio.sleep(3600))

    class Producer:
        _sender = SimpleNamespace(sender_task=sender)

        def __init__(self, **_: Any) -> None: ...

        async def send_batch(self, *_: Any, **__: Any) -> asyncio.Future[None]:
            return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(output_producer, "AIOKafkaProducer", Producer)
    publisher = output_producer.OutputProducer("", idempotent=False)
    monkeypatch.setattr(publisher, "_batches", lambda messages: [messages])
    waiting = asyncio.ensure_future(publisher.publish([OutputMessage("t", 0, b"k", b"v")]))
    await asyncio.sleep(0)
    sender.cancel()
    with pytest.raises(output_producer.ProducerEndedError):
        await waiting

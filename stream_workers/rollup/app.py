"""The program that keeps rollups true: `python -m stream_workers.rollup.app`, until SIGTERM.

It reads which hours have changed and computes each once, however often it was named meanwhile. Every hour has one
owner, since its notices lie in one partition. A notice is acknowledged once its hour and day are written. At its start
it looks for hours that were changed and never computed, whose notices a broker has lost or nobody has sent.
"""

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Collection, Iterable
from typing import Any

import clickhouse_connect
import faust
import msgspec
from clickhouse_connect.driver.asyncclient import AsyncClient

from runtime import metrics
from runtime.addresses import dsn, without_password
from runtime.background_tasks import BackgroundTask
from schemas.topics import ROLLUP_TOUCHES
from stream_workers.batches.batch_transport import PassThrough
from stream_workers.batches.faust_app import poll_app
from stream_workers.batches.offset_progress import Poll
from stream_workers.batches.processor import Abandoned
from stream_workers.batches.start import run
from stream_workers.io.retry import Backoff, until_done
from stream_workers.io.schema_check import require_own_tables
from stream_workers.rollup.rollups import Hour, compute, stale_hours
from stream_workers.rollup.storage_metrics import watch
from stream_workers.settings import RollupSettings

log = logging.getLogger(__name__)

_MOST_NOTICES = 100_000


class _Touch(msgspec.Struct):
    workspace: str
    hour: int


_decode = msgspec.json.Decoder(_Touch).decode


def hours_of(values: Iterable[bytes | None]) -> set[Hour]:
    """The hours that these notices name. What is none is passed over: it is not one of the workers'."""
    hours = set()
    for value in values:
        try:
            touch = _decode(value or b"")
        except msgspec.DecodeError:
            log.warning("a record of %s names no hour and is passed over: %d bytes", ROLLUP_TOUCHES, len(value or b""))
        else:
            hours.add(Hour(touch.workspace, touch.hour - touch.hour % 3600))
    return hours


async def compute_counted(client: AsyncClient, hours: Collection[Hour]) -> None:
    """`compute`, with its time and what it has computed counted."""
    if not hours:
        return
    began = time.perf_counter()
    try:
        await compute(client, hours)
    except Exception:
        metrics.ROLLUP_RETRIES.add()
        raise
    metrics.ROLLUP_SECONDS.observe(time.perf_counter() - began)
    metrics.ROLLUP_BUCKETS.add("hour", by=len(set(hours)))
    metrics.ROLLUP_BUCKETS.add("day", by=len({hour.day for hour in hours}))


def build_app(settings: RollupSettings) -> faust.App:
    """The program, ready to be run by `faust.Worker`."""
    app = poll_app(settings, settings.rollup_group, _MOST_NOTICES)
    polls = app.topic(ROLLUP_TOUCHES, schema=PassThrough(), key_type=None, value_type=None)

    @app.agent(polls, name="roll-up")  # type: ignore[untyped-decorator]
    async def roll_up(stream: Any) -> None:
        client = await until_done(
            f"connecting to ClickHouse at {without_password(settings.clickhouse_url)}",
            lambda: clickhouse_connect.get_async_client(**dsn(settings.clickhouse_url), autogenerate_session_id=False),
            Backoff(),
            lambda: None,
        )

        await require_own_tables(client)

        async def see_through(poll: Poll) -> None:
            def require() -> None:
                if poll.assignment != app.consumer.assignment_number:
                    raise Abandoned

            if any(batch.lost for batch in poll.batches):
                log.warning("notices were gone from Kafka before they were read: looking for hours that they named")
                await until_done("catching up", catch_up, Backoff(), require)
            hours = hours_of(record.value for batch in poll.batches for record in batch.records)
            await until_done("rollup", lambda: compute_counted(client, hours), Backoff(), require)
            app.consumer.acknowledge(poll)

        async def catch_up() -> None:
            await compute_counted(client, await stale_hours(client))

        storage = BackgroundTask("watching ClickHouse's disks", lambda: watch(client))
        storage.start()
        try:
            await until_done("catching up", catch_up, Backoff(), lambda: None)
            async for poll in stream.noack():
                began = time.monotonic()
                with contextlib.suppress(Abandoned):
                    await see_through(poll)
                # What costs much is done the less often: notices gather meanwhile, and each hour is computed once.
                await asyncio.sleep(max(settings.rollup_interval_s, time.monotonic() - began))
                app.consumer.ask_for_next(poll)
        finally:
            await storage.stop()
            await client.close()

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def announce(_: Any, assigned: set[Any], **__: Any) -> None:
        log.warning("rollup ready: %d partitions", len(assigned))

    return app


if __name__ == "__main__":
    sys.exit(run("rollup", RollupSettings, build_app))

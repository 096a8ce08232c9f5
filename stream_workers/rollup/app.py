"""The program that keeps rollups up to date: `python -m stream_workers.rollup.app`, until SIGTERM.

It reads rollup invalidations, which name hours that have changed, and computes each hour once, however often it was
named meanwhile. Every hour has one owner, because its invalidations are in one partition. An invalidation is
acknowledged once its hour and day are written. At its start, the program looks for hours that were changed and never
computed: a broker may have lost their invalidations, or a worker may never have sent them.
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
from clickhouse_connect.driver.asyncclient import AsyncClient
from faust.types import TP, StreamT
from pydantic import ValidationError

from runtime import rollup_metrics as metrics
from runtime.addresses import dsn, without_password
from runtime.background_tasks import BackgroundTask
from schemas.outputs import RollupInvalidation
from schemas.topics import ROLLUP_INVALIDATIONS
from stream_workers.batches.batch_transport import BatchConsumer, PassThrough, batches_of, consumer_of
from stream_workers.batches.faust_app import batch_app
from stream_workers.batches.offset_progress import BatchAbandoned, ConsumerBatch
from stream_workers.batches.start import run
from stream_workers.io.retry import Backoff, until_done
from stream_workers.io.schema_check import require_own_tables
from stream_workers.rollup.rollups import Hour, compute, stale_hours
from stream_workers.rollup.storage_metrics import watch_storage
from stream_workers.settings import RollupSettings

log = logging.getLogger(__name__)

_MOST_INVALIDATIONS = 100_000


def invalidated_hours(values: Iterable[bytes | None]) -> set[Hour]:
    """The hours that these invalidations name. A record that is no invalidation is skipped: no worker has sent it."""
    hours = set()
    for value in values:
        try:
            invalidation = RollupInvalidation.model_validate_json(value or b"")
        except ValidationError:
            log.warning(
                "a record of %s names no hour and is skipped: %d bytes", ROLLUP_INVALIDATIONS, len(value or b"")
            )
        else:
            hours.add(Hour(invalidation.workspace, invalidation.hour - invalidation.hour % 3600))
    return hours


async def compute_counted(client: AsyncClient, hours: Collection[Hour]) -> None:
    """`compute`, with metrics of its duration and of the hours and days computed."""
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


async def compute_stale_hours(client: AsyncClient) -> None:
    """Compute the hours that were changed and never computed."""
    await compute_counted(client, await stale_hours(client))


async def process_batch(client: AsyncClient, consumer: BatchConsumer, batch: ConsumerBatch) -> None:
    """Compute the hours that a batch names, and acknowledge it. BatchAbandoned if its partitions were reassigned."""

    def require_assignment() -> None:
        if batch.assignment != consumer.assignment_number:
            raise BatchAbandoned

    if any(part.lost for part in batch.partitions):
        log.warning("rollup invalidations were gone from Kafka before they were read: looking for stale hours")
        await until_done("catching up", lambda: compute_stale_hours(client), Backoff(), require_assignment)
    hours = invalidated_hours(record.value for part in batch.partitions for record in part.records)
    await until_done("rollup", lambda: compute_counted(client, hours), Backoff(), require_assignment)
    consumer.acknowledge(batch)


async def connect(settings: RollupSettings) -> AsyncClient:
    """A client of a ClickHouse with the tables of this version, as soon as it answers."""
    client: AsyncClient = await until_done(
        f"connecting to ClickHouse at {without_password(settings.clickhouse_url)}",
        lambda: clickhouse_connect.get_async_client(**dsn(settings.clickhouse_url), autogenerate_session_id=False),
        Backoff(),
        lambda: None,
    )
    await require_own_tables(client)
    return client


async def keep_rollups(app: faust.App, settings: RollupSettings, stream: StreamT[Any]) -> None:
    """Compute the stale hours, and then batch by batch those that the stream names."""
    client = await connect(settings)
    storage = BackgroundTask("watching ClickHouse's disks", lambda: watch_storage(client))
    storage.start()
    try:
        await until_done("catching up", lambda: compute_stale_hours(client), Backoff(), lambda: None)
        async for batch in batches_of(stream):
            began = time.monotonic()
            with contextlib.suppress(BatchAbandoned):
                await process_batch(client, consumer_of(app), batch)
            # A long computation is followed by a long pause: invalidations gather, and each hour is computed once.
            await asyncio.sleep(max(settings.rollup_interval_s, time.monotonic() - began))
            consumer_of(app).request_next(batch)
    finally:
        # Faust cancels more than once, and whatever is awaited here would end unfinished.
        await asyncio.shield(_end(storage, client))


async def _end(storage: BackgroundTask, client: AsyncClient) -> None:
    await storage.stop()
    await client.close()


def build_app(settings: RollupSettings) -> faust.App:
    """The program, ready to be run by `faust.Worker`."""
    app = batch_app(settings, settings.rollup_group, _MOST_INVALIDATIONS)
    batches = app.topic(ROLLUP_INVALIDATIONS, schema=PassThrough(), key_type=None, value_type=None)

    @app.agent(batches, name="roll-up")
    async def roll_up(stream: StreamT[Any]) -> None:
        await keep_rollups(app, settings, stream)

    @app.on_partitions_assigned.connect
    async def log_assignment(*args: Any, **_: Any) -> None:
        assigned: set[TP] = args[1]
        log.info("rollup ready: %d partitions", len(assigned))

    return app


def main() -> int:
    return run("rollup", RollupSettings, build_app)


if __name__ == "__main__":
    sys.exit(main())

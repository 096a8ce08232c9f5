"""The Faust app: who gets which partitions, and one agent that feeds polls to the conveyor."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import clickhouse_connect
import faust
import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient

from runtime.addresses import dsn, without_password
from runtime.background_tasks import BackgroundTask
from runtime.garbage_collection import watch_memory
from schemas.topics import INPUTS
from stream_workers.batches.batch_transport import PassThrough
from stream_workers.batches.dead_letter_share import DeadShare, TooManyDeadError
from stream_workers.batches.faust_app import poll_app
from stream_workers.batches.process_batch import Stored
from stream_workers.batches.processor import Processor, Result
from stream_workers.batches.stage_pipeline import Conveyor
from stream_workers.batches.telemetry import ObservedEngines
from stream_workers.io.clickhouse_sink import store
from stream_workers.io.lookup import JournalAnswer, fetch_claims, fetch_entries, last_stored
from stream_workers.io.output_messages import Message
from stream_workers.io.output_producer import Publisher
from stream_workers.io.retry import Backoff, until_done
from stream_workers.io.schema_check import require_own_tables
from stream_workers.join.trace_cache import TraceCache
from stream_workers.join.trace_join import Claim
from stream_workers.settings import WorkerSettings

log = logging.getLogger(__name__)


class RealEngines:
    """ClickHouse and Kafka, opened when the worker starts."""

    def __init__(self, clickhouse: AsyncClient, publisher: Publisher) -> None:
        self.clickhouse = clickhouse
        self.publisher = publisher

    @classmethod
    async def open(cls, settings: WorkerSettings) -> "RealEngines":
        clickhouse = await until_done(
            f"connecting to ClickHouse at {without_password(settings.clickhouse_url)}",
            lambda: clickhouse_connect.get_async_client(**dsn(settings.clickhouse_url)),
            Backoff(),
            lambda: None,
        )
        await require_own_tables(clickhouse)
        publisher = Publisher(settings.kafka_bootstrap, idempotent=settings.kafka_idempotence)
        await publisher.start()
        return cls(clickhouse, publisher)

    async def close(self) -> None:
        await self.publisher.stop()
        await self.clickhouse.close()

    async def fetch(self, hashes: set[int]) -> Stored:
        return JournalAnswer(await fetch_entries(self.clickhouse, hashes))

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return await fetch_claims(self.clickhouse, claims)

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None:
        return await last_stored(self.clickhouse, topic, partition, below)

    async def store(self, rows: dict[str, pa.Table]) -> None:
        await store(self.clickhouse, rows)

    async def publish(self, batch: list[Message]) -> None:
        await self.publisher.publish(batch)


def build_app(settings: WorkerSettings) -> faust.App:
    """A worker, ready to be run by `faust.Worker`."""
    app = poll_app(settings, settings.consumer_group, settings.max_poll_records)
    polls = app.topic(*INPUTS, schema=PassThrough(), key_type=None, value_type=None)
    cache = TraceCache(settings.cache_mb * 1_000_000)
    # One thread: several would take the interpreter's lock from each other, and all of them from the event loop.
    thread = ThreadPoolExecutor(1, "compute")

    def compute(work: Callable[[], Result]) -> Awaitable[Result]:
        return asyncio.get_running_loop().run_in_executor(thread, work)

    @app.agent(polls, name="join")  # type: ignore[untyped-decorator]
    async def join(stream: Any) -> None:
        engines = await RealEngines.open(settings)
        processor = Processor(
            ObservedEngines(engines),
            cache,
            lambda poll: bool(poll.assignment != app.consumer.assignment_number),
            offset_base=settings.offset_base,
            compute=compute,
            dead_share=DeadShare(settings.max_dead_share),
        )
        conveyor = Conveyor(
            processor,
            lambda poll: app.consumer.ask_for_next(poll),
            lambda poll: app.consumer.acknowledge(poll),
            fail,
        )
        memory = BackgroundTask("watching memory", watch_memory)
        memory.start()
        try:
            async for poll in stream.noack():
                await conveyor.feed(poll)
        finally:
            await memory.stop()
            await conveyor.stop()
            await engines.close()

    def fail(error: BaseException) -> None:
        # Only what DeadShare says of itself is free of what callers have sent.
        why = str(error) if isinstance(error, TooManyDeadError) else "its records will be read again"
        log.critical("the worker cannot go on and stops: %s", why, exc_info=error)
        asyncio.get_running_loop().create_task(app.crash(error))

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def forget(*_: Any, **__: Any) -> None:
        cache.forget()

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def announce(_: Any, assigned: set[Any], **__: Any) -> None:
        log.warning("worker ready: %d partitions", len(assigned))

    return app

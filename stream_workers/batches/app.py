"""The worker as a Faust app: Faust assigns the partitions, and one agent feeds consumer batches to the pipeline."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import clickhouse_connect
import faust
import pyarrow as pa
from clickhouse_connect.driver.asyncclient import AsyncClient
from faust.types import TP, StreamT

from runtime.addresses import dsn, without_password
from runtime.background_tasks import BackgroundTask
from runtime.garbage_collection import watch_memory
from schemas.topics import INPUTS
from stream_workers.batches.batch_transport import PassThrough, batches_of, consumer_of
from stream_workers.batches.dead_letter_share import DeadShare, TooManyDeadError
from stream_workers.batches.faust_app import batch_app
from stream_workers.batches.process_batch import StoredStates
from stream_workers.batches.processor import Processor, Result
from stream_workers.batches.stage_pipeline import StagePipeline
from stream_workers.batches.telemetry import InstrumentedEngines
from stream_workers.io.clickhouse_sink import store
from stream_workers.io.log_check import require_newest_log
from stream_workers.io.lookup import JournalStates, fetch_claims, fetch_entries, last_stored
from stream_workers.io.output_messages import OutputMessage
from stream_workers.io.output_producer import OutputProducer
from stream_workers.io.retry import Backoff, until_done
from stream_workers.io.schema_check import require_own_tables
from stream_workers.join.claims import Claim
from stream_workers.join.trace_cache import TraceCache
from stream_workers.settings import WorkerSettings

log = logging.getLogger(__name__)


class RealEngines:
    """The worker's connections to ClickHouse and Kafka, opened when the worker starts."""

    def __init__(self, clickhouse: AsyncClient, publisher: OutputProducer) -> None:
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
        await require_newest_log(clickhouse, settings)
        publisher = OutputProducer(settings.kafka_bootstrap, idempotent=settings.kafka_idempotence)
        await publisher.start()
        return cls(clickhouse, publisher)

    async def close(self) -> None:
        await self.publisher.stop()
        await self.clickhouse.close()

    async def fetch(self, hashes: set[int]) -> StoredStates:
        return JournalStates(await fetch_entries(self.clickhouse, hashes))

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]:
        return await fetch_claims(self.clickhouse, claims)

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None:
        return await last_stored(self.clickhouse, topic, partition, below)

    async def store(self, rows: dict[str, pa.Table]) -> None:
        await store(self.clickhouse, rows)

    async def publish(self, messages: list[OutputMessage]) -> None:
        await self.publisher.publish(messages)


async def join_batches(app: faust.App, settings: WorkerSettings, cache: TraceCache, stream: StreamT[Any]) -> None:
    """Process the batches of the stream, several at a time, until it ends."""
    engines = await RealEngines.open(settings)
    # One thread: several would compete for the interpreter's lock, with each other and with the event loop.
    thread = ThreadPoolExecutor(1, "compute")

    def compute(work: Callable[[], Result]) -> Awaitable[Result]:
        return asyncio.get_running_loop().run_in_executor(thread, work)

    processor = Processor(
        InstrumentedEngines(engines),
        cache,
        lambda batch: bool(batch.assignment != consumer_of(app).assignment_number),
        offset_base=settings.offset_base,
        compute=compute,
        dead_share=DeadShare(settings.max_dead_share),
    )
    pipeline = StagePipeline(
        processor,
        lambda batch: consumer_of(app).request_next(batch),
        lambda batch: consumer_of(app).acknowledge(batch),
        lambda error: crash(app, error),
    )
    memory = BackgroundTask("watching memory", watch_memory)
    memory.start()
    try:
        async for batch in batches_of(stream):
            await pipeline.feed(batch)
    finally:
        # Faust cancels more than once, and whatever is awaited here would end unfinished.
        await asyncio.shield(_end(memory, pipeline, engines))


async def _end(memory: BackgroundTask, pipeline: StagePipeline, engines: RealEngines) -> None:
    await memory.stop()
    await pipeline.stop()
    await engines.close()


def crash(app: faust.App, error: BaseException) -> None:
    """Stop the worker, because it cannot go on."""
    # Only the message of a TooManyDeadError is certain to hold nothing that callers have sent.
    why = str(error) if isinstance(error, TooManyDeadError) else "its records will be read again"
    log.critical("the worker cannot go on and stops: %s", why, exc_info=error)
    asyncio.get_running_loop().create_task(app.crash(error))


def build_app(settings: WorkerSettings) -> faust.App:
    """A worker, ready to be run by `faust.Worker`."""
    app = batch_app(settings, settings.consumer_group, settings.max_poll_records)
    batches = app.topic(*INPUTS, schema=PassThrough(), key_type=None, value_type=None)
    cache = TraceCache(settings.cache_mb * 1_000_000)

    @app.agent(batches, name="join")
    async def join(stream: StreamT[Any]) -> None:
        await join_batches(app, settings, cache, stream)

    @app.on_partitions_revoked.connect
    async def clear_cache(*_: Any, **__: Any) -> None:
        cache.clear()

    @app.on_partitions_assigned.connect
    async def log_assignment(*args: Any, **_: Any) -> None:
        assigned: set[TP] = args[1]
        log.info("worker ready: %d partitions", len(assigned))

    return app

"""Telemetry of a worker: metrics of the calls to its engines and of the consumer of its Faust app."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import perf_counter, time
from typing import Any

import faust
import pyarrow as pa
from aiokafka.consumer.subscription_state import TopicPartitionState
from aiokafka.structs import TopicPartition
from faust.types import TP

from runtime import metrics
from runtime.fast_metrics import Counter, Histogram, Labels
from stream_workers.batches.batch_transport import BatchConsumer, consumer_of
from stream_workers.batches.offset_progress import ConsumerBatch
from stream_workers.batches.process_batch import StoredStates
from stream_workers.batches.processor import WorkerEngines
from stream_workers.io.arrow_rows import LOST
from stream_workers.io.output_messages import OutputMessage
from stream_workers.join.claims import Claim


class InstrumentedEngines:
    """Engines whose calls are measured: a call that succeeds with its duration, a call that fails as a retry."""

    def __init__(self, engines: WorkerEngines) -> None:
        self._engines = engines

    async def fetch(self, hashes: set[int]) -> StoredStates:
        with _timed(metrics.LOOKUP_SECONDS, "traces", engine="clickhouse"):
            return await self._engines.fetch(hashes)

    async def fetch_claims(self, claims: Collection[Claim]) -> dict[Claim, str]:
        with _timed(metrics.LOOKUP_SECONDS, "keys", engine="clickhouse"):
            return await self._engines.fetch_claims(claims)

    async def last_stored(self, topic: str, partition: int, below: int) -> int | None:
        with _timed(metrics.LOOKUP_SECONDS, "last", engine="clickhouse"):
            return await self._engines.last_stored(topic, partition, below)

    async def store(self, rows: dict[str, pa.Table]) -> None:
        with _timed(metrics.INSERT_SECONDS, engine="clickhouse"):
            await self._engines.store(rows)
        for name, table in rows.items():
            metrics.ROWS_STORED.add(name, by=len(table))
        _count_values(metrics.FEEDBACK_STORED, rows.get("feedback_rows"), "join_state")
        _count_values(metrics.DEAD_LETTERS, rows.get("dead_letters"), "reason")
        for lost in rows[LOST].to_pylist() if LOST in rows else ():
            metrics.RECORDS_LOST.add(lost["topic"], by=lost["end_sequence"] - lost["first_sequence"])

    async def publish(self, messages: list[OutputMessage]) -> None:
        with _timed(metrics.PUBLISH_SECONDS, engine="kafka"):
            await self._engines.publish(messages)


@contextmanager
def _timed(seconds: Histogram, *labels: str, engine: str) -> Iterator[None]:
    began = perf_counter()
    try:
        yield
    except Exception:
        metrics.RETRIES.add(engine)
        raise
    seconds.observe(perf_counter() - began, *labels)


def _count_values(counter: Counter, table: pa.Table | None, column: str) -> None:
    if table is not None:
        counts: Any = table[column].value_counts()  # an array of values with their counts
        for found in counts.to_pylist():
            counter.add(found["values"], by=found["counts"])


class ConsumerSensor(faust.Sensor):
    """Measures the consumer batches that an agent of the app is given."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        if isinstance(event.value, ConsumerBatch):
            metrics.BATCH_RECORDS.observe(sum(len(part.records) for part in event.value.partitions))


def add_consumer_telemetry(app: faust.App) -> None:
    """Count the batches and assignments of this app; once it has partitions, show which, and how far behind it is."""
    app.sensors.add(ConsumerSensor())

    @app.on_partitions_assigned.connect
    async def assigned(*_: Any, **__: Any) -> None:
        metrics.ASSIGNMENTS.add()
        metrics.ASSIGNED.set_callback(lambda: {(): len(_states_of(consumer_of(app)))})
        metrics.LAG.set_callback(lambda: lag_of(consumer_of(app)))
        metrics.OLDEST_SECONDS.set_callback(lambda: ages_of(consumer_of(app), time()))


def lag_of(consumer: BatchConsumer) -> dict[Labels, float]:
    """By assigned partition, how many of the records that its latest fetch knew of are not acknowledged."""
    lags: dict[Labels, float] = {}
    for tp, state in _states_of(consumer).items():
        acknowledged = consumer.progress.acknowledged_through(TP(*tp))
        if acknowledged is None:
            acknowledged = state._position  # nothing has been delivered yet
        if acknowledged is not None and state.highwater is not None:
            lags[tp.topic, tp.partition] = max(0, state.highwater - acknowledged)
    return lags


def ages_of(consumer: BatchConsumer, now: float) -> dict[Labels, float]:
    """By assigned partition, the age in seconds of the oldest record that is read and not acknowledged."""
    ages: dict[Labels, float] = {}
    for tp in _states_of(consumer):
        oldest = consumer.progress.oldest_ms(TP(*tp))
        ages[tp.topic, tp.partition] = 0 if oldest is None else max(0.0, now - oldest / 1000)
    return ages


def _states_of(consumer: BatchConsumer) -> dict[TopicPartition, TopicPartitionState]:
    """The state that aiokafka keeps of each assigned partition, read while aiokafka's own thread continues."""
    client = consumer._thread._consumer
    subscription = client._subscription.subscription if client else None
    assignment = subscription.assignment if subscription else None
    return {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}

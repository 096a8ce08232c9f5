"""What the numbers of runtime/metrics.py are counted from: the engines' calls, and the consumer of a Faust app."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import perf_counter, time
from typing import Any

import faust
import pyarrow as pa
from faust.types import TP

from runtime import metrics
from runtime.fast_metrics import Counter, Histogram, Labels
from stream_workers.batches.batch_transport import PollConsumer
from stream_workers.batches.offset_progress import Poll
from stream_workers.batches.process_batch import Stored
from stream_workers.batches.processor import Engines
from stream_workers.io.arrow_rows import LOST
from stream_workers.io.output_messages import Message
from stream_workers.join.trace_join import Claim


class ObservedEngines:
    """Engines whose calls are counted: what failed as a try that is repeated, all else as done."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    async def fetch(self, hashes: set[int]) -> Stored:
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

    async def publish(self, batch: list[Message]) -> None:
        with _timed(metrics.PUBLISH_SECONDS, engine="kafka"):
            await self._engines.publish(batch)


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
        for found in table[column].value_counts().to_pylist():
            counter.add(found["values"], by=found["counts"])


class ConsumerSensor(faust.Sensor):  # type: ignore[misc]
    """Counts the polls that an agent of this app is given."""

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> None:
        if isinstance(event.value, Poll):
            metrics.POLL_RECORDS.observe(sum(len(batch.records) for batch in event.value.batches))


def observe_consumer(app: faust.App) -> None:
    """Count the polls and assignments of this app; once it has partitions, show which and how far behind it is."""
    app.sensors.add(ConsumerSensor())

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def assigned(*_: Any, **__: Any) -> None:
        metrics.ASSIGNMENTS.add()
        metrics.ASSIGNED.follow(lambda: {(): len(_states_of(app.consumer))})
        metrics.LAG.follow(lambda: lag_of(app.consumer))
        metrics.OLDEST_SECONDS.follow(lambda: ages_of(app.consumer, time()))


def lag_of(consumer: PollConsumer) -> dict[Labels, float]:
    """Records of each partition assigned here that are not acknowledged, of those that its latest fetch knew of."""
    lags: dict[Labels, float] = {}
    for tp, state in _states_of(consumer).items():
        seen = consumer.progress.seen_through(TP(*tp))
        if seen is None:
            seen = state._position  # nothing has been delivered yet
        if seen is not None and state.highwater is not None:
            lags[tp.topic, tp.partition] = max(0, state.highwater - seen)
    return lags


def ages_of(consumer: PollConsumer, now: float) -> dict[Labels, float]:
    """For how many seconds the oldest record of each partition assigned here waits, of those that have been read."""
    ages: dict[Labels, float] = {}
    for tp in _states_of(consumer):
        oldest = consumer.progress.oldest_ms(TP(*tp))
        ages[tp.topic, tp.partition] = 0 if oldest is None else max(0.0, now - oldest / 1000)
    return ages


def _states_of(consumer: PollConsumer) -> dict[Any, Any]:
    """What aiokafka knows of each partition assigned here; read while its own thread goes on."""
    client = consumer._thread._consumer
    subscription = client._subscription.subscription if client else None
    assignment = subscription.assignment if subscription else None
    return {tp: assignment.state_value(tp) for tp in assignment.tps} if assignment else {}

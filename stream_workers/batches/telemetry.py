"""Telemetry of a worker: metrics of the calls to its engines."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import pyarrow as pa

from runtime import metrics
from runtime.fast_metrics import Counter, Histogram
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

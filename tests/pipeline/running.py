"""A running edge with workers, and ways to send to it and to see what came of it."""

import asyncio
import base64
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import clickhouse_connect
import requests
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from deploy.kafka.broker import free_ports
from runtime.kafka_offsets import committed_offsets, end_offsets
from schemas.topics import INPUTS
from stream_workers.rollup.rollups import Hour, compute
from tests.pipeline.engines import Engines, Process, answers, until

Numbers = defaultdict[tuple[str, ...], float]
"""What programs show in their metrics, by name and values of labels in order of their names; 0 for all else."""


def scraped(url: str) -> Numbers:
    """What one program shows."""
    reply = requests.get(url, timeout=10)
    assert reply.status_code == 200, reply.text
    found: Numbers = defaultdict(float)
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


async def roll_up(clickhouse_url: str) -> None:
    """Compute the rollups of all hours, as the rollup program does."""
    client = await clickhouse_connect.get_async_client(dsn=clickhouse_url, autogenerate_session_id=False)
    hours = await client.query("SELECT DISTINCT workspace::String, toUInt32(hour) FROM feedback.feedback_hour_rows")
    await compute(client, [Hour(*row) for row in hours.result_rows])
    await client.close()


async def newest_messages(bootstrap: str, topic: str) -> dict[str, dict[str, Any] | None]:
    """What a consumer that keeps the highest version per key holds; None for a tombstone."""
    ends = {TopicPartition(*place): end for place, end in (await end_offsets(bootstrap, [topic])).items()}
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    held: dict[str, tuple[int, dict[str, Any] | None]] = {}
    try:
        consumer.assign(list(ends))
        await consumer.seek_to_beginning(*ends)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for record in (record for batch in (await consumer.getmany(timeout_ms=200)).values() for record in batch):
                version = int(dict(record.headers).get("version", b"0"))
                value = json.loads(record.value) if record.value else None
                key = record.key.decode()
                if key not in held or version >= held[key][0]:
                    held[key] = (version, value)
    finally:
        await consumer.stop()
    return {key: value for key, (_, value) in held.items()}


class Pipeline:
    """An edge and one worker as processes; more workers on demand."""

    settings: Mapping[str, str] = MappingProxyType({})
    """Those of the edge, beyond what every pipeline has."""

    def __init__(self, engines: Engines, folder: Path) -> None:
        self.engines = engines
        self.folder = folder
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.workers: list[Process] = []
        self.metrics_urls: dict[Process, str] = {}
        self.sql_client = clickhouse_connect.get_client(dsn=engines.clickhouse)

    def __enter__(self) -> Self:
        environment = {
            **self.engines.environment,
            "FEEDBACK_PORT": str(self.port),
            "FEEDBACK_LOG_FORMAT": "json",
            "FEEDBACK_EXPORT_DIR": str(self.folder / "exports"),
            **self.settings,
        }
        self.edge = Process([sys.executable, "-m", "deploy.api"], self.folder / "edge.log", environment)
        self.metrics_urls[self.edge] = f"{self.url}/metrics"
        self.add_worker()
        until(lambda: answers(f"{self.url}/readyz"), "the edge is ready")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for process in (self.edge, *self.workers):
            process.kill()

    def add_worker(self, **environment: str) -> Process:
        log = self.folder / f"worker-{len(self.workers)}.log"
        worker = self._with_metrics("stream_workers", log, environment)
        self.workers.append(worker)
        until(lambda: self.is_ready(worker), "the worker is ready")
        return worker

    def is_ready(self, program: Process) -> bool:
        """Whether a worker or the rollup program reads its partitions, as it says on its metrics port."""
        return answers(self.metrics_urls[program].replace("/metrics", "/readyz"))

    @contextmanager
    def rollup(self, interval_s: float = 0.1) -> Iterator[Process]:
        """The program that keeps rollups. It leaves its group in the end, so that the next one need not wait for it."""
        settings = {"FEEDBACK_ROLLUP_INTERVAL_S": str(interval_s)}
        rollup = self._with_metrics("stream_workers.rollup.app", self.folder / "rollup.log", settings)
        try:
            yield rollup
        finally:
            rollup.stop()

    def _with_metrics(self, module: str, log: Path, environment: dict[str, str]) -> Process:
        (port,) = free_ports(1)
        settings = {
            "FEEDBACK_SESSION_TIMEOUT_S": "6",
            "FEEDBACK_METRICS_PORT": str(port),
            "FEEDBACK_LOG_FORMAT": "json",
        }
        argv = [sys.executable, "-m", module]
        process = Process(argv, log, {**self.engines.environment, **settings, **environment})
        self.metrics_urls[process] = f"http://127.0.0.1:{port}/metrics"
        return process

    def metrics(self) -> Numbers:
        """Every number that the running programs show, added up over programs."""
        found: Numbers = defaultdict(float)
        for process, url in self.metrics_urls.items():
            if process.running:
                for key, number in scraped(url).items():
                    found[key] += number
        return found

    def post(self, path: str, body: Any) -> list[str]:
        """Send and insist on acceptance; the ids."""
        reply = requests.post(f"{self.url}{path}", json=body, timeout=30)
        assert reply.status_code == 200, reply.text
        answer = reply.json()
        ids: list[str] = answer.get("feedback_ids") or answer["ids"]
        return ids

    def feedback(self, trace_id: str, value: int, weight: float = 1.0, **metadata: Any) -> str:
        body = {"trace_id": trace_id, "value": value, "weight": weight, "metadata": metadata}
        return self.post("/v1/feedback", body)[0]

    def request(self, trace_id: str, model: str = "m", provider: str = "p", **metadata: Any) -> str:
        start_time = metadata.pop("start_time", None)
        body = {
            "request": {"url": "https://api.example.com/v1/chat", "body": {"model": model}, "provider": provider},
            "response": {"status": 200, "body": {"usage": {"total_tokens": 3}}},
            "metadata": {"trace_id": trace_id, **metadata},
        }
        return self.post("/v1/logs", body | ({"start_time": start_time} if start_time else {}))[0]

    def sql(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        return list(self.sql_client.query(query, parameters=parameters).named_results())

    def stored(self, feedback_id: str) -> dict[str, Any]:
        """The current row of a feedback; empty where there is none."""
        rows = self.sql("SELECT * FROM feedback.feedback WHERE feedback_id = {id:UUID}", id=feedback_id)
        assert len(rows) <= 1, "one id stands twice"
        return rows[0] if rows else {}

    def aggregate(self, trace_id: str) -> dict[str, Any]:
        rows = self.sql("SELECT * FROM feedback.trace_aggregates WHERE trace_id = {t:String}", t=trace_id)
        assert len(rows) <= 1, "one trace stands twice"
        return rows[0] if rows else {}

    def count(self, query: str, **parameters: Any) -> int:
        return int(self.sql_client.command(query, parameters=parameters))

    def accounted(self) -> dict[tuple[str, int], int]:
        """Per input topic and partition: records that are in the journal, in the dead letters, or erased."""
        rows = self.sql("""
            SELECT topic, kafka_partition, uniqExact(sequence) AS records FROM (
                SELECT if(kind = 'request', 'request.logs.v1', 'feedback.events.v1') AS topic,
                    kafka_partition, sequence FROM feedback.journal
                UNION ALL SELECT topic, kafka_partition, sequence FROM feedback.dead_letters
                UNION ALL SELECT topic, kafka_partition, sequence FROM feedback.erased_records
                UNION ALL SELECT topic, kafka_partition, sequence FROM feedback.expired_records
            ) GROUP BY topic, kafka_partition""")
        return {(row["topic"], row["kafka_partition"]): row["records"] for row in rows}

    def is_settled(self) -> bool:
        """Whether workers have stored, published and committed every record there is."""
        ends = asyncio.run(end_offsets(self.engines.kafka, INPUTS))
        committed = asyncio.run(committed_offsets(self.engines.kafka, "feedback-workers", INPUTS))
        return all(committed.get(place, 0) >= end for place, end in ends.items())

    def accepted(self) -> dict[tuple[str, int], int]:
        """Per input topic and partition: records in the log."""
        ends = asyncio.run(end_offsets(self.engines.kafka, INPUTS))
        return {place: end for place, end in ends.items() if end}

    def produce(self, topic: str, partition: int, value: bytes) -> None:
        """Write a record past the edge, as a producer that is not ours would."""
        asyncio.run(self._produce(topic, partition, value))

    async def _produce(self, topic: str, partition: int, value: bytes) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.engines.kafka, acks="all")
        await producer.start()
        try:
            await producer.send_and_wait(topic, value, key=b"foreign", partition=partition)
        finally:
            await producer.stop()

    def topic(self, name: str) -> dict[str, dict[str, Any] | None]:
        """What a consumer that keeps the highest version per key holds; None for a tombstone."""
        return asyncio.run(newest_messages(self.engines.kafka, name))

    def dead(self, value: bytes) -> dict[str, Any] | None:
        """The dead letter with these bytes, as the topic has it."""
        letters = self.topic("feedback.dead.v1").values()
        wanted = base64.b64encode(value).decode()
        return next((letter for letter in letters if letter and letter["value"] == wanted), None)

"""The connection to Kafka: an aiokafka producer that is watched, and replaced when it fails.

Promises that the edge can start and stay up while Kafka is away. At any moment either `fault` is empty and `producer`
and `partitions` may be used, or `fault` tells in one sentence why not.

aiokafka never returns to its bootstrap addresses and cannot recover a failed idempotent producer. So a producer that
fails is discarded with every event it holds, and `on_loss` is called. The publisher decides what is sent, and when.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from ingest_api.settings import Settings
from runtime.background_tasks import BackgroundTask
from runtime.metrics import PRODUCERS_LOST
from schemas.topics import INPUTS

MAX_BATCH_BYTES = 1024 * 1024
MAX_REQUEST_BYTES = 8 * 1024 * 1024

# The interval of metadata requests: an idle edge notices within this time that Kafka has gone or come back.
_PROBE_S = 1.0
_RETRY_S = 0.5
_CLOSE_S = 2.0

log = logging.getLogger(__name__)


class ProducerConnection:
    """The edge's connection to Kafka. `start` returns at once and connects in the background."""

    def __init__(self, settings: Settings, on_loss: Callable[[str], None]) -> None:
        self.fault = f"Kafka at {settings.kafka_bootstrap} has not answered yet"
        self.producer: AIOKafkaProducer | None = None
        self.partitions = 0
        self._settings = settings
        self._on_loss = on_loss
        self._lost: asyncio.Event = asyncio.Event()
        self._task = BackgroundTask("connecting to Kafka", self._run)
        self._logged_fault: str | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to connect, and reconnect whenever the connection fails."""
        self._task.start()

    def replace(self, why: str) -> None:
        """Discard the producer: a batch has failed or was not acknowledged in time."""
        if self.producer is None:
            return
        self._set_fault(why)
        self.producer = None
        PRODUCERS_LOST.add()
        self._lost.set()
        self._on_loss(why)

    def new_batch(self) -> BatchBuilder:
        """An empty batch builder of aiokafka."""
        return self._connected().create_batch()

    def send(self, batch: BatchBuilder, partition: TopicPartition) -> "asyncio.Future[RecordMetadata]":
        """Send a batch to a partition that has none in flight; the future is done when the batch is acknowledged.

        KafkaError if the topic is gone: aiokafka would ask for it by name, and then a broker may create it. This does
        the same as aiokafka's `send_batch` where nothing has to be waited for; `send_batch` costs a third of a small
        batch.
        """
        producer = self._connected()
        if not producer.client.cluster.partitions_for_topic(partition.topic):
            raise UnknownTopicOrPartitionError(partition.topic)
        accumulator = producer._message_accumulator
        if accumulator._exception is not None:
            raise accumulator._exception
        return accumulator._append_batch(batch, partition).future

    def _connected(self) -> AIOKafkaProducer:
        """The producer; who sends has seen that there is one."""
        assert self.producer is not None
        return self.producer

    async def stop(self) -> None:
        """Close the connection once the batches in flight are acknowledged, or after the produce timeout."""
        self._stopping = True
        self.fault = "the edge is shutting down"
        await self._task.stop()
        producer, self.producer = self.producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(self._settings.produce_timeout_s):
                    await producer.stop()
            except (TimeoutError, KafkaError):
                await _discard(producer)

    async def _run(self) -> None:
        while True:
            self._lost.clear()
            producer = self._new_producer()
            try:
                async with asyncio.timeout(self._settings.produce_timeout_s):
                    await producer.start()
                self.producer = producer
                await self._watch(producer)
            except (KafkaError, OSError, TimeoutError) as error:
                why = self._why_not_connected(error)
                self.replace(why)
                self._set_fault(why)
            finally:
                # A producer that works until the end is closed by stop(), after it has delivered what it holds.
                if not (self._stopping and self.producer is producer):
                    self.replace(f"the connection to Kafka at {self._settings.kafka_bootstrap} failed: see the log")
                    await _discard(producer)
            await asyncio.sleep(_RETRY_S)

    async def _watch(self, producer: Any) -> None:
        while not self._lost.is_set():
            try:
                # Names no topic: a broker may create a topic that it is asked for.
                async with asyncio.timeout(self._settings.produce_timeout_s):
                    answered = await producer.client.force_metadata_update()
            except TimeoutError:
                answered = False
            if not answered:
                self.replace(f"no broker of Kafka at {self._settings.kafka_bootstrap} answers")
                return
            self._note_partitions(producer.client.cluster)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self._lost.wait()

    def _note_partitions(self, cluster: Any) -> None:
        if self._lost.is_set():
            return
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in INPUTS}
        missing = [topic for topic, count in counts.items() if not count]
        if missing:
            self._set_fault(f"topic {missing[0]} does not exist in Kafka: create the topics")
        elif len(set(counts.values())) > 1:
            found = " and ".join(f"{topic} has {count}" for topic, count in counts.items())
            self._set_fault(
                f"the input topics must have equal partition counts, but {found}: create them again with equal counts"
            )
        else:
            self.partitions = next(iter(counts.values()))
            self._set_fault("")

    def _set_fault(self, fault: str) -> None:
        self.fault = fault
        if fault != self._logged_fault:
            self._logged_fault = fault
            if fault:
                log.warning("not ready: %s", fault)
            else:
                log.info("ready: Kafka answers, %s partitions", self.partitions)

    def _new_producer(self) -> Any:
        timeout_ms = max(1, round(self._settings.produce_timeout_s * 1000))
        return AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap,
            client_id="feedback-edge",
            acks="all",
            enable_idempotence=self._settings.kafka_idempotence,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=timeout_ms,
            metadata_max_age_ms=5_000,
        )

    def _why_not_connected(self, error: Exception) -> str:
        bootstrap = self._settings.kafka_bootstrap
        if self._settings.kafka_idempotence and type(error).__name__ == "UnknownError":
            return (
                f"Kafka at {bootstrap} offers no idempotent producer: set FEEDBACK_KAFKA_IDEMPOTENCE=false"
                " if it is the embedded broker"
            )
        return f"Kafka at {bootstrap} cannot be reached ({type(error).__name__})"


async def _discard(producer: Any) -> None:
    """Close a producer without delivering what it holds; `stop` would wait for that, perhaps without end."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_CLOSE_S):
            # Connections first: then requests in flight fail at once, and the cancelled sender can end.
            await producer.client.close()
    if sender is not None:
        await asyncio.wait([sender], timeout=_CLOSE_S)
        if sender.done() and not sender.cancelled():
            sender.exception()
        else:
            sender.cancel()

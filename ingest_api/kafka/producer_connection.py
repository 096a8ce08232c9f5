"""One aiokafka producer kept alive: it connects, watches, and is replaced when it fails.

Promises that the edge can start and stay up while Kafka is away, and that at any moment either `fault` is empty and
`producer` and `partitions` may be used, or `fault` says in one sentence why not. aiokafka never goes back to its
bootstrap addresses and cannot recover a failed idempotent producer, so a producer that fails is thrown away with
all it holds; the owner hears of that through `on_loss`. What is sent, and when, is left to the publisher.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

from ingest_api.settings import Settings
from runtime.background_tasks import BackgroundTask
from runtime.metrics import PRODUCERS_LOST
from schemas.topics import INPUTS

MAX_BATCH_BYTES = 1024 * 1024
MAX_REQUEST_BYTES = 8 * 1024 * 1024

# How often metadata is asked for: an idle edge learns within this time that Kafka has gone or come back.
_PROBE_S = 1.0
_RETRY_S = 0.5
_CLOSE_S = 2.0

log = logging.getLogger(__name__)


class KafkaLink:
    """The edge's connection to Kafka. `start` returns at once and connects in the background."""

    def __init__(self, settings: Settings, on_loss: Callable[[str], None]) -> None:
        self.fault = f"Kafka at {settings.kafka_bootstrap} has not answered yet"
        self.producer: Any = None
        self.partitions = 0
        self._settings = settings
        self._on_loss = on_loss
        self._lost: asyncio.Event = asyncio.Event()
        self._keeper = BackgroundTask("connecting to Kafka", self._keep)
        self._told: str | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to connect, and to reconnect for ever."""
        self._keeper.start()

    def replace(self, why: str) -> None:
        """Throw the producer away: a batch has failed or was not acknowledged in time."""
        if self.producer is None:
            return
        self._set_fault(why)
        self.producer = None
        PRODUCERS_LOST.add()
        self._lost.set()
        self._on_loss(why)

    def new_batch(self) -> Any:
        """An empty batch, aiokafka's builder."""
        return self.producer.create_batch()

    def send(self, batch: Any, place: TopicPartition) -> "asyncio.Future[Any]":
        """Send a batch to a partition that has none under way; done when it is acknowledged.

        KafkaError if the topic has gone: aiokafka would ask for it by name, and a broker may create it then. This is
        what aiokafka's `send_batch` comes to where nothing has to be waited for; that costs a third of a small batch.
        """
        if not self.producer.client.cluster.partitions_for_topic(place.topic):
            raise UnknownTopicOrPartitionError(place.topic)
        accumulator = self.producer._message_accumulator
        if accumulator._exception is not None:
            raise accumulator._exception
        delivery: asyncio.Future[Any] = accumulator._append_batch(batch, place).future
        return delivery

    async def stop(self) -> None:
        """Close the connection after what has been handed to the producer is acknowledged, or soon anyway."""
        self._stopping = True
        self.fault = "the edge is shutting down"
        await self._keeper.stop()
        producer, self.producer = self.producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(self._settings.produce_timeout_s):
                    await producer.stop()
            except (TimeoutError, KafkaError):
                await _discard(producer)

    async def _keep(self) -> None:
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
                # What works until the end is closed by stop(), after what it holds has been delivered.
                if not (self._stopping and self.producer is producer):
                    self.replace(f"the connection to Kafka at {self._settings.kafka_bootstrap} failed: see the log")
                    await _discard(producer)
            await asyncio.sleep(_RETRY_S)

    async def _watch(self, producer: Any) -> None:
        while not self._lost.is_set():
            try:
                # Asked without naming topics: a broker may create what it is asked about.
                async with asyncio.timeout(self._settings.produce_timeout_s):
                    answered = await producer.client.force_metadata_update()
            except TimeoutError:
                answered = False
            if not answered:
                self.replace(f"no broker of Kafka at {self._settings.kafka_bootstrap} answers")
                return
            self._upsert(producer.client.cluster)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_S):
                    await self._lost.wait()

    def _upsert(self, cluster: Any) -> None:
        if self._lost.is_set():
            return
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in INPUTS}
        missing = [topic for topic, count in counts.items() if not count]
        if missing:
            self._set_fault(f"topic {missing[0]} does not exist in Kafka: create the topics")
        elif len(set(counts.values())) > 1:
            told = " and ".join(f"{topic} has {count}" for topic, count in counts.items())
            self._set_fault(
                f"the input topics must have equal partition counts, but {told}: make them anew with equal counts"
            )
        else:
            self.partitions = next(iter(counts.values()))
            self._set_fault("")

    def _set_fault(self, fault: str) -> None:
        self.fault = fault
        if fault != self._told:
            self._told = fault
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
    """Close a producer without delivering what it still holds; `stop` would wait for that, perhaps for ever."""
    producer._closed = True
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    with contextlib.suppress(TimeoutError, KafkaError, OSError):
        async with asyncio.timeout(_CLOSE_S):
            # Connections first: requests under way fail at once and the cancelled sender can end.
            await producer.client.close()
    if sender is not None:
        await asyncio.wait([sender], timeout=_CLOSE_S)
        if sender.done() and not sender.cancelled():
            sender.exception()
        else:
            sender.cancel()

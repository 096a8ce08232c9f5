"""The API keys of the edge, read from their Kafka topic: all of it at the start, each new record, and all of it again.

Promises that a key or its revocation is known as soon as Kafka delivers it, and that the keys count as fresh only after
a broker has answered for the end of every partition. The whole topic is read again every few seconds, because the
embedded broker may have restarted with an empty log, whose offsets look like those of the first. While Kafka does not
answer, the known keys stay valid for as long as the authenticator allows.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from runtime.api_key_authentication import ApiKeyAuthenticator
from runtime.background_tasks import BackgroundTask
from runtime.kafka_consumer import stop_consumer
from schemas.api_keys import ApiKey
from schemas.topics import API_KEYS

_REREAD_S = 5.0
_PASS_S = 15.0  # a consumer that takes longer to read it all is replaced
# How long a broker may hold a fetch, at the start and when all has been read: the embedded one holds it that long even
# if it has records, and takes 1 ms for each.
_FIRST_WAIT_MS, _WAIT_MS = 250, 1_000
_REQUEST_MS = 10_000
_RETRY_S = 0.5

log = logging.getLogger(__name__)


class _NoTopicError(Exception):
    """The topic does not exist."""


class ApiKeyFeed:
    """Feeds one authenticator. `start` returns at once and connects in the background. `fault`: why no key is read."""

    def __init__(self, bootstrap: str, authenticator: ApiKeyAuthenticator, now_ms: Callable[[], int]) -> None:
        self._bootstrap = bootstrap
        self._authenticator = authenticator
        self._now_ms = now_ms
        self._task = BackgroundTask("reading API keys from Kafka", self._run)
        self.fault = f"topic {API_KEYS} has not been read to its end yet"
        self._unreadable: set[bytes] = set()

    def start(self) -> None:
        """Begin to read."""
        self._task.start()

    async def stop(self) -> None:
        """Stop to read."""
        await self._task.stop()

    async def _run(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                client_id="feedback-edge-keys",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=_FIRST_WAIT_MS,
                request_timeout_ms=_REQUEST_MS,
            )
            try:
                async with asyncio.timeout(_PASS_S):
                    await consumer.start()
                    partitions = await _assigned(consumer)
                await self._follow(consumer, partitions)
            except _NoTopicError:
                self._set_fault(f"topic {API_KEYS} does not exist in Kafka: create the topics (feedback topics)")
            except (KafkaError, OSError, TimeoutError) as error:
                self._set_fault(f"topic {API_KEYS} cannot be read ({type(error).__name__})")
            finally:
                await stop_consumer(consumer)
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(_PASS_S):
                await self._read_all(consumer, partitions)
            self._authenticator.mark_fresh(self._now_ms())
            self._set_fault("")
            consumer._fetcher._fetch_max_wait_ms = _WAIT_MS
            while asyncio.get_running_loop().time() < began + _REREAD_S:
                await self._poll(consumer)

    async def _read_all(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        """Read from the start until a broker has reported, after this call, the end of every partition."""
        began_ms = time.time() * 1000
        for partition in partitions:
            # Not seek_to_beginning: it asks for the topic by name, and then a broker may create it.
            consumer.seek(partition, 0)
        unread = set(partitions)
        while unread:
            await self._poll(consumer)
            for partition in list(unread):
                answered_ms = consumer.last_poll_timestamp(partition)
                # This is the consumer's time, which is rounded down.
                if (
                    answered_ms is not None
                    and answered_ms > began_ms
                    and await consumer.position(partition) >= (consumer.highwater(partition) or 0)
                ):
                    unread.remove(partition)

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        for records in (await consumer.getmany(timeout_ms=_WAIT_MS)).values():
            for record in records:
                self._upsert(record.value)

    def _upsert(self, value: bytes | None) -> None:
        if value is None:
            return  # keys are never removed
        try:
            self._authenticator.store.upsert(ApiKey.model_validate_json(value))
        except ValidationError:
            self._authenticator.store.close()
            if value not in self._unreadable:
                self._unreadable.add(value)
                log.error("a record of topic %s is not an API key that this version can read; it is left out", API_KEYS)

    def _set_fault(self, fault: str) -> None:
        if fault != self.fault:
            self.fault = fault
            if fault:
                log.warning("API keys: %s", fault)
            else:
                log.info("API keys: read, %s known", self._authenticator.store.count)


async def _assigned(consumer: AIOKafkaConsumer) -> list[TopicPartition]:
    # Asks for all topics and none by name: a broker may create a topic that it is asked for.
    await consumer._client.force_metadata_update()
    partitions = [TopicPartition(API_KEYS, each) for each in consumer.partitions_for_topic(API_KEYS) or ()]
    if not partitions:
        raise _NoTopicError
    consumer.assign(partitions)
    consumer._client.set_topics([])
    return partitions

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
from typing import Any

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
_POLL_MS = 250
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
        self._keeper = BackgroundTask("reading API keys from Kafka", self._keep)
        self.fault = f"topic {API_KEYS} has not been read to its end yet"
        self._unreadable: set[bytes] = set()

    def start(self) -> None:
        """Begin to read, for ever."""
        self._keeper.start()

    async def stop(self) -> None:
        """Read no more."""
        await self._keeper.stop()

    async def _keep(self) -> None:
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                client_id="feedback-edge-keys",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_max_wait_ms=_POLL_MS,
                request_timeout_ms=_REQUEST_MS,
            )
            try:
                async with asyncio.timeout(_PASS_S):
                    await consumer.start()
                    places = await _assigned(consumer)
                await self._follow(consumer, places)
            except _NoTopicError:
                self._tell(f"topic {API_KEYS} does not exist in Kafka: create the topics (feedback topics)")
            except (KafkaError, OSError, TimeoutError) as error:
                self._tell(f"topic {API_KEYS} cannot be read ({type(error).__name__})")
            finally:
                await stop_consumer(consumer)
            await asyncio.sleep(_RETRY_S)

    async def _follow(self, consumer: Any, places: list[TopicPartition]) -> None:
        while True:
            began = asyncio.get_running_loop().time()
            async with asyncio.timeout(_PASS_S):
                await self._read_all(consumer, places)
            self._authenticator.mark_fresh(self._now_ms())
            self._tell("")
            while asyncio.get_running_loop().time() < began + _REREAD_S:
                await self._poll(consumer)

    async def _read_all(self, consumer: Any, places: list[TopicPartition]) -> None:
        """Read from the start until a broker has said, since now, that there is no more in any partition."""
        began_ms = time.time() * 1000
        for place in places:
            # Not seek_to_beginning: it looks the topic up by name, and a broker may create what it is asked about.
            consumer.seek(place, 0)
        waiting = set(places)
        while waiting:
            await self._poll(consumer)
            for place in list(waiting):
                answered = consumer.last_poll_timestamp(place)
                # In the consumer's own time, which is rounded down.
                if (
                    answered is not None
                    and answered > began_ms
                    and await consumer.position(place) >= (consumer.highwater(place) or 0)
                ):
                    waiting.remove(place)

    async def _poll(self, consumer: Any) -> None:
        for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
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
                log.error("a record of topic %s is no API key that this version can read; it is left out", API_KEYS)

    def _tell(self, fault: str) -> None:
        if fault != self.fault:
            self.fault = fault
            if fault:
                log.warning("API keys: %s", fault)
            else:
                log.info("API keys: read, %s known", self._authenticator.store.count)


async def _assigned(consumer: Any) -> list[TopicPartition]:
    # All topics are asked for, and none by its name: a broker may create what it is asked about.
    await consumer._client.force_metadata_update()
    places = [TopicPartition(API_KEYS, each) for each in consumer.partitions_for_topic(API_KEYS) or ()]
    if not places:
        raise _NoTopicError
    consumer.assign(places)
    consumer._client.set_topics([])
    return places

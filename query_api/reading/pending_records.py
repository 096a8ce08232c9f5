"""What has been accepted and not yet stored: the records of each partition beyond the workers' last commit.

Asked only about what is in no table yet. Promises to look at every record up to the end that the partition has when it
is asked, and bounded work whatever is asked: one consumer and one admin client for all askers, each record read once,
and a clear 503 beyond so many askers, records at a time, or records in all.
"""

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from query_api.reading.pending_index import LogChangedError, PendingIndex, Record
from runtime.http_errors import ApiError, retry_after
from runtime.kafka_consumer import stop_consumer
from runtime.kafka_offsets import commits_of
from schemas.ids import partition_of
from schemas.topics import FEEDBACK_EVENTS

MOST_ASKERS = 64
MOST_READ = 50_000
"""Records for one answer."""
MOST_KEPT = 200_000
"""Feedbacks remembered of all partitions, some 40 MB."""

_FETCH_WAIT_MS = 20


class PendingRecords:
    """The records of feedback that wait for a worker of this group."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._bootstrap, self._group = bootstrap, group
        self._admin: AIOKafkaAdminClient | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._indexes: dict[int, PendingIndex] = defaultdict(PendingIndex)
        self._read_since: dict[int, float] = {}
        self._reading = asyncio.Lock()
        self._askers = 0

    async def hold(self, workspace: str, feedback_id: str, trace_hash: int) -> bool:
        """Whether an event of this workspace's feedback waits for a worker.

        KafkaError where the broker does not answer; ApiError 503 where it is not known yet.
        """
        if self._askers >= MOST_ASKERS:
            raise ApiError(f"{MOST_ASKERS} receipts are being looked for: ask again", status=503, headers=retry_after())
        self._askers += 1
        asked = asyncio.get_running_loop().time()
        try:
            async with self._reading:
                place = await self._place(trace_hash)
                if place is None:
                    return False
                # Whoever asked before the latest reading began is answered by it.
                is_whole = asked < self._read_since.get(place.partition, 0.0) or await self._read(place)
                found = self._indexes[place.partition].holds(workspace, feedback_id)
                if not found and not is_whole:
                    raise ApiError(
                        "more records wait to be stored than can be looked through at once: it is not known yet whether"
                        " this feedback is among them, ask again",
                        status=503,
                        headers=retry_after(),
                    )
                return found
        except (KafkaError, OSError):
            await self.close()
            raise
        finally:
            self._askers -= 1

    async def close(self) -> None:
        """Let go of Kafka; the next question connects again."""
        consumer, admin, self._consumer, self._admin = self._consumer, self._admin, None, None
        self._read_since.clear()
        if consumer is not None:
            await stop_consumer(consumer)
        if admin is not None:
            with contextlib.suppress(KafkaError, OSError):
                await admin.close()

    async def _place(self, trace_hash: int) -> TopicPartition | None:
        """The partition of a trace; None where there is no topic."""
        if self._admin is None:
            self._admin = await _started(AIOKafkaAdminClient(bootstrap_servers=self._bootstrap), "close")
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                enable_auto_commit=False,
                fetch_max_wait_ms=_FETCH_WAIT_MS,
                auto_offset_reset="earliest",
            )
            self._consumer = await _started(consumer, "stop")
        if not self._consumer.partitions_for_topic(FEEDBACK_EVENTS):
            # All topics are asked for, and none by its name: a broker may create what it is asked about.
            await self._consumer._client.force_metadata_update()
        count = len(self._consumer.partitions_for_topic(FEEDBACK_EVENTS) or ())
        return TopicPartition(FEEDBACK_EVENTS, partition_of(trace_hash, count)) if count else None

    async def _read(self, place: TopicPartition) -> bool:
        """Take the records that are new in a partition; whether that was all of them."""
        began = asyncio.get_running_loop().time()
        committed = await self._committed(place)
        try:
            is_whole = await self._take(place, committed)
        except LogChangedError:
            del self._indexes[place.partition]
            is_whole = await self._take(place, committed)
        if is_whole:
            self._read_since[place.partition] = began
        return is_whole

    async def _take(self, place: TopicPartition, committed: int) -> bool:
        consumer, index = self._consumer, self._indexes[place.partition]
        assert consumer is not None
        # Assigned anew each time, so that no answer to an earlier fetch tells where the log ends.
        consumer.assign([place])
        consumer._client.set_topics([])
        consumer.seek(place, index.begin(committed))
        read = 0
        try:
            while read < MOST_READ and sum(map(len, self._indexes.values())) < MOST_KEPT:
                found = await consumer.getmany(place, timeout_ms=_FETCH_WAIT_MS, max_records=MOST_READ - read)
                records = found.get(place, [])
                for record in records:
                    index.take(Record(record.offset, record.timestamp, record.value))
                read += len(records)
                end = consumer.highwater(place)
                if end is not None and await consumer.position(place) >= end:
                    index.end()
                    return True
            return False
        finally:
            consumer.pause(place)

    async def _committed(self, place: TopicPartition) -> int:
        assert self._admin is not None
        committed = await commits_of(self._admin, self._group, [place])
        return committed.get((place.topic, place.partition), 0)


async def _started(client: Any, stop: str) -> Any:
    try:
        await client.start()
    except BaseException:
        await getattr(client, stop)()
        raise
    return client

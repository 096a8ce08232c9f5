"""Offsets of partitions: where a log starts, where it ends, and what a consumer group has committed.

All are right on Apache Kafka and on tansu, the embedded broker. tansu reports as latest offset the first offset of the
last batch plus one, so `end_offsets` uses the high watermark of a fetch instead.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime.kafka_admin import kafka_admin, partitions_of
from runtime.kafka_consumer import started_consumer

Offsets = dict[tuple[str, int], int]
"""Offsets by topic and partition."""


async def end_offsets(bootstrap: str, topics: Iterable[str], deadline: float = 20.0) -> Offsets:
    """The offset that each partition's next record will get. KafkaError or TimeoutError (after `deadline` seconds)."""
    partitions = await _partitions(bootstrap, topics)
    async with asyncio.timeout(deadline), started_consumer(bootstrap, fetch_max_wait_ms=50) as consumer:
        consumer.assign(partitions)
        for partition, offset in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, offset)
        ends: Offsets = {}
        while len(ends) < len(partitions):
            await consumer.getmany(timeout_ms=50)
            for partition in partitions:
                watermark = consumer.highwater(partition)
                if watermark is not None:
                    ends[partition.topic, partition.partition] = watermark
        return ends


async def start_offsets(bootstrap: str, topics: Iterable[str]) -> Offsets:
    """The offset of each partition's first record that the log still has. KafkaError."""
    partitions = await _partitions(bootstrap, topics)
    async with started_consumer(bootstrap) as consumer:
        starts = await consumer.beginning_offsets(partitions)
    return {(partition.topic, partition.partition): offset for partition, offset in starts.items()}


async def committed_offsets(bootstrap: str, group: str, topics: Iterable[str]) -> Offsets:
    """What the group has committed of each partition; a partition without a commit is left out. KafkaError."""
    async with kafka_admin(bootstrap) as admin:
        return await commits_of(admin, group, await partitions_of(admin, topics))


async def commits_of(admin: AIOKafkaAdminClient, group: str, partitions: list[TopicPartition]) -> Offsets:
    """What the group has committed of these partitions; one without a commit is left out. KafkaError."""
    # Each partition is named: tansu cannot decode the question for all of them.
    found = await admin.list_consumer_group_offsets(group, partitions=partitions)
    return {(place.topic, place.partition): each.offset for place, each in found.items() if each.offset >= 0}


def records_left(ends: Mapping[tuple[str, int], int], committed: Mapping[tuple[str, int], int]) -> int:
    """How many records before these ends the group has not committed."""
    return sum(max(0, end - committed.get(place, 0)) for place, end in ends.items())


async def _partitions(bootstrap: str, topics: Iterable[str]) -> list[TopicPartition]:
    async with kafka_admin(bootstrap) as admin:
        return await partitions_of(admin, topics)

"""How far a topic reaches, and how far a consumer group has come: the two ends of what is still to be done.

Both are true on Apache Kafka and on tansu. tansu answers a question for the latest offset with the last batch's
first offset plus one, so only the high watermark of a fetch is trusted.
"""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from runtime.kafka_consumer import stop_consumer

Offsets = dict[tuple[str, int], int]


async def end_offsets(bootstrap: str, topics: Iterable[str], deadline: float = 20.0) -> Offsets:
    """The offset that each partition's next record will get. KafkaError or TimeoutError (after `deadline` seconds)."""
    partitions = await _partitions(bootstrap, topics)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50)
    try:
        async with asyncio.timeout(deadline):
            await consumer.start()
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
    finally:
        await stop_consumer(consumer)


async def start_offsets(bootstrap: str, topics: Iterable[str]) -> Offsets:
    """The offset of each partition's first record that the log still has. KafkaError."""
    partitions = await _partitions(bootstrap, topics)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        starts = await consumer.beginning_offsets(partitions)
    finally:
        await stop_consumer(consumer)
    return {(partition.topic, partition.partition): offset for partition, offset in starts.items()}


async def committed_offsets(bootstrap: str, group: str, topics: Iterable[str]) -> Offsets:
    """What the group has committed of each partition; a partition without a commit is left out. KafkaError."""
    # Each partition is named: tansu cannot decode the question for all of them.
    partitions = await _partitions(bootstrap, topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        answer = await admin.list_consumer_group_offsets(group, partitions=partitions)
    finally:
        await admin.close()
    return {(p.topic, p.partition): each.offset for p, each in answer.items() if each.offset >= 0}


async def _partitions(bootstrap: str, topics: Iterable[str]) -> list[TopicPartition]:
    wanted = set(topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # Asked without naming topics: tansu creates what it is asked about.
        found = await admin.describe_topics()
    finally:
        await admin.close()
    return [
        TopicPartition(each["topic"], part["partition"])
        for each in found
        if each["topic"] in wanted
        for part in each["partitions"]
    ]

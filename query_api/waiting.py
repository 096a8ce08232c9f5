"""What has been accepted and not yet stored: the records of a partition beyond the workers' last commit.

Read anew for each question, since it is asked only about what is in no table yet. Promises to look at every record up
to the end that the partition had when it was asked.
"""

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.ids import partition_of
from schemas.topics import FEEDBACK_EVENTS


async def is_waiting(bootstrap: str, group: str, feedback_id: str, trace_hash: int) -> bool:
    """Whether an event of this feedback waits for a worker. Raises KafkaError where the broker does not answer."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        await consumer.topics()
        partitions = consumer.partitions_for_topic(FEEDBACK_EVENTS) or set()
        if not partitions:
            return False
        place = TopicPartition(FEEDBACK_EVENTS, partition_of(trace_hash, len(partitions)))
        consumer.assign([place])
        committed = await consumer.committed(place)
        if committed is None:
            await consumer.seek_to_beginning(place)
        else:
            consumer.seek(place, committed)
        wanted = b'"%s"' % feedback_id.encode()
        while True:
            records = (await consumer.getmany(place, timeout_ms=100)).get(place, [])
            if any(wanted in (record.value or b"") for record in records):
                return True
            end = consumer.highwater(place)
            if end is not None and await consumer.position(place) >= end:
                return False
    finally:
        await consumer.stop()

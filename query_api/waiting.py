"""What has been accepted and not yet stored: the records of a partition beyond the workers' last commit.

Read anew for each question, since it is asked only about what is in no table yet. Promises to look at every record up
to the end that the partition had when it was asked.
"""

import json

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.ids import partition_of
from schemas.topics import FEEDBACK_EVENTS


async def is_waiting(bootstrap: str, group: str, workspace: str, feedback_id: str, trace_hash: int) -> bool:
    """Whether an event of this workspace's feedback waits for a worker. KafkaError where the broker does not answer."""
    place, committed = await _place_and_commit(bootstrap, group, trace_hash)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=100, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([place])
        if committed is None:
            await consumer.seek_to_beginning(place)
        else:
            consumer.seek(place, committed)
        wanted = b'"%s"' % feedback_id.encode()
        while True:
            records = (await consumer.getmany(place, timeout_ms=100)).get(place, [])
            if any(
                wanted in (record.value or b"") and _is_of(workspace, feedback_id, record.value) for record in records
            ):
                return True
            end = consumer.highwater(place)
            if end is not None and await consumer.position(place) >= end:
                return False
    finally:
        await consumer.stop()


def _is_of(workspace: str, feedback_id: str, value: bytes) -> bool:
    try:
        event = json.loads(value)
    except ValueError:
        return False
    return isinstance(event, dict) and (event.get("workspace"), event.get("feedback_id")) == (workspace, feedback_id)


async def _place_and_commit(bootstrap: str, group: str, trace_hash: int) -> tuple[TopicPartition, int | None]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # Asked without naming topics, and of one partition: the embedded broker makes any topic that it is asked about,
        # and cannot tell of all partitions at once.
        topics = {each["topic"]: len(each["partitions"]) for each in await admin.describe_topics()}
        place = TopicPartition(FEEDBACK_EVENTS, partition_of(trace_hash, topics.get(FEEDBACK_EVENTS, 1)))
        offsets = await admin.list_consumer_group_offsets(group, partitions=[place])
    finally:
        await admin.close()
    committed = offsets[place].offset
    return place, committed if committed >= 0 else None

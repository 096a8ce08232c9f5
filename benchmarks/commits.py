"""What a consumer group has committed, asked of the broker from outside."""

import asyncio
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.engines import PARTITIONS, Child, Engines, until
from schemas.topics import FEEDBACK_EVENTS

WORKERS = "feedback-workers"


def committed(found: Engines, group: str, topics: Sequence[str]) -> int:
    """Records of these topics that the group has done with: the sum of its commits over all partitions."""
    return asyncio.run(_committed(found.kafka, group, topics))


async def _committed(bootstrap: str, group: str, topics: Sequence[str]) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        # Named one by one: the embedded broker cannot tell of all partitions at once.
        places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
        found = await admin.list_consumer_group_offsets(group, partitions=places)
        return sum(max(found[place].offset, 0) for place in places)
    finally:
        await admin.close()


def until_committed(
    found: Engines,
    more_than: int,
    what: str,
    *,
    group: str = WORKERS,
    topics: Sequence[str] = (FEEDBACK_EVENTS,),
    child: Child | None = None,
) -> None:
    """Wait until the group has committed more than that."""
    until(lambda: committed(found, group, topics) > more_than, what, pause=0.05, child=child)

"""What a consumer group has committed, asked of the broker from outside."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.engines import PARTITIONS, Child, Engines, until
from schemas.topics import FEEDBACK_EVENTS

WORKERS = "feedback-workers"


def committed(found: Engines, group: str, topics: Sequence[str]) -> int:
    """Records of these topics that the group has done with: the sum of its commits over all partitions."""
    with _asking(found, group, topics) as ask:
        return ask()


@contextmanager
def _asking(found: Engines, group: str, topics: Sequence[str]) -> Iterator[Callable[[], int]]:
    """What asks for that sum, over one connection however often it is asked."""
    with asyncio.Runner() as runner:
        admin = runner.run(_started(found.kafka))
        try:
            yield lambda: runner.run(_committed(admin, group, topics))
        finally:
            runner.run(admin.close())


async def _started(bootstrap: str) -> AIOKafkaAdminClient:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    return admin


async def _committed(admin: AIOKafkaAdminClient, group: str, topics: Sequence[str]) -> int:
    # Named one by one: the embedded broker cannot tell of all partitions at once.
    places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
    found = await admin.list_consumer_group_offsets(group, partitions=places)
    return sum(max(found[place].offset, 0) for place in places)


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
    with _asking(found, group, topics) as ask:
        until(lambda: ask() > more_than, what, pause=0.05, child=child)

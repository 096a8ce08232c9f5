"""Look-ups in Kafka: whether it answers, its topics and partitions, and the members of a consumer group.

Topics are looked up without naming them, because the embedded broker creates a topic that it is asked about.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code

_ANSWER_MS = 3_000


async def broker_answers(bootstrap: str) -> bool:
    """Whether a broker at this address, or at the first of several, lists itself as live."""
    host, _, port = bootstrap.split(",")[0].strip().rpartition(":")
    # A bare connection first: the client would log an error for every attempt before the port is open.
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except OSError:
        return False
    writer.close()
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=_ANSWER_MS)
    try:
        await client.bootstrap()
    except KafkaError:
        return False
    else:
        # Until a broker is live, metadata has none and the client may list the address it was given instead.
        return any(not client.cluster.is_bootstrap(node.nodeId) for node in client.cluster.brokers())
    finally:
        await client.close()


@asynccontextmanager
async def kafka_admin(bootstrap: str, timeout_ms: int = 40_000) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client that is closed at the end, also where it does not start. KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=timeout_ms)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def described_topics(admin: AIOKafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    """All topics, each with its partitions as Kafka describes them. KafkaError."""
    return {each["topic"]: each["partitions"] for each in await admin.describe_topics()}


async def partitions_of(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> list[TopicPartition]:
    """The partitions of those of these topics that exist. KafkaError."""
    wanted = set(topics)
    return [
        TopicPartition(topic, partition["partition"])
        for topic, partitions in (await described_topics(admin)).items()
        if topic in wanted
        for partition in partitions
    ]


async def group_members(admin: AIOKafkaAdminClient, group: str) -> list[dict[str, Any]]:
    """The members of a consumer group as Kafka describes them. KafkaError, also while it has no coordinator."""
    (answer,) = await admin.describe_consumer_groups([group])
    (found,) = answer.to_object()["groups"]
    if found["error_code"]:
        raise for_code(found["error_code"])
    members: list[dict[str, Any]] = found["members"]
    return members

"""Creates the topics in Kafka, or gives them the settings in schemas/topics.py.

Promises that a second run changes nothing, that settings which an operator has added stay, and that a topic with
another number of partitions is refused: a trace would move to another partition and lose its order. Records are never
touched. To change the number of partitions, delete the topics and create them again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from operations.connections import CommandError
from runtime.kafka_admin import described_topics, kafka_admin
from schemas.topics import TOPICS, Topic

_METADATA_DEADLINE_S = 20.0
_SET_ON_THE_TOPIC = 1  # config_source of a value that was set on the topic itself


class TopicError(CommandError):
    """A topic cannot be created or set. The message is one sentence for a person."""


def wanted_settings(topic: Topic, replicas: int) -> dict[str, str]:
    """The settings of the topic. `min.insync.replicas` is two where there are so many replicas, else one."""
    return topic.settings() | {"min.insync.replicas": str(min(replicas, 2))}


def altered_settings(wanted: Mapping[str, str], present: Mapping[str, tuple[str, bool]]) -> dict[str, str]:
    """All settings to give the topic, or none where it already has the wanted ones.

    `present` maps a name to its effective value and whether it was set on the topic. Kafka replaces the settings of a
    topic as a whole, so the result contains those that somebody else has set.
    """
    if all(name in present and present[name][0] == value for name, value in wanted.items()):
        return {}
    kept = {name: value for name, (value, on_topic) in present.items() if on_topic}
    return kept | dict(wanted)


async def create_topics(bootstrap: str, partitions: int, replication: int = 1) -> list[str]:
    """Create the topics that are missing, with this many partitions; their names.

    TopicError where Kafka cannot be reached or refuses, or where a topic has another number of partitions.
    """
    async with _admin(bootstrap) as admin:
        before = await described_topics(admin)
        _refuse_other_counts(before, partitions, bootstrap)
        created = await _create([topic for topic in TOPICS if topic.name not in before], admin, partitions, replication)
        # Another process may have created one meanwhile, so all are checked again.
        found = await _all_partitions(admin, bootstrap)
        _refuse_other_counts(found, partitions, bootstrap)
        for topic in TOPICS:
            if topic.name not in created:
                await _keep_settings(admin, topic, replicas=len(found[topic.name][0]["replicas"]))
        return created


async def _all_partitions(admin: AIOKafkaAdminClient, bootstrap: str) -> dict[str, list[dict[str, Any]]]:
    """The partitions of all topics, once Kafka lists them: it confirms a creation before its metadata show it."""
    try:
        async with asyncio.timeout(_METADATA_DEADLINE_S):
            while True:
                found = await described_topics(admin)
                if all(found.get(topic.name) for topic in TOPICS):
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TopicError(
            f"Kafka at {bootstrap} created the topics and does not list them after {_METADATA_DEADLINE_S:g} s:"
            " look into its log and try again."
        ) from None


def _refuse_other_counts(found: Mapping[str, list[Any]], partitions: int, bootstrap: str) -> None:
    for topic in TOPICS:
        count = len(found.get(topic.name) or range(partitions))
        if count != partitions:
            raise TopicError(
                f"Topic {topic.name} at {bootstrap} has {count} partitions and {partitions} are wanted:"
                f" give --partitions {count}, or delete the feedback topics if their records may go."
            )


async def _create(topics: Iterable[Topic], admin: AIOKafkaAdminClient, partitions: int, replication: int) -> list[str]:
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, partitions, replication, topic_configs=wanted_settings(topic, replication))
            for topic in topics
        ]
    )
    created = []
    for name, code, message in answer.topic_errors:
        if code == 0:
            created.append(name)
        elif code != TopicAlreadyExistsError.errno:
            raise TopicError(f"Kafka did not create topic {name}: {message or for_code(code).__name__}")
    return created


async def _keep_settings(admin: AIOKafkaAdminClient, topic: Topic, replicas: int) -> None:
    # All settings are asked for: tansu cannot decode a request that names some.
    answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=None)])
    entries = answers[0].to_object()["resources"][0]["config_entries"]
    present = {
        each["config_names"]: (each["config_value"], each["config_source"] == _SET_ON_THE_TOPIC) for each in entries
    }
    altered = altered_settings(wanted_settings(topic, replicas), present)
    if not altered:
        return
    try:
        answer = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=altered)])
    except IncompatibleBrokerVersion:
        return  # tansu cannot alter topics
    code, message, *_ = answer[0].resources[0]
    if code:
        raise TopicError(f"Kafka did not alter topic {topic.name}: {message or for_code(code).__name__}")


@asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[Any]:
    try:
        async with kafka_admin(bootstrap, timeout_ms=20_000) as admin:
            yield admin
    except KafkaConnectionError as error:
        raise TopicError(f"Kafka at {bootstrap} does not answer: is it running there?") from error
    except (KafkaError, OSError, ValueError) as error:
        raise TopicError(f"Kafka at {bootstrap} cannot be used: {error}") from error

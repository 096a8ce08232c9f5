"""The topics and their ends, on the embedded broker and on Apache Kafka."""

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.embedded import broker as embedded_broker
from deploy.kafka.broker import KafkaBroker, free_ports
from operations import broker_offsets
from operations.topics import TopicError, altered_settings, create_topics
from runtime.kafka_offsets import committed_offsets, end_offsets
from schemas.topics import ENRICHED, FEEDBACK_EVENTS, SEGMENT_MS, TOPICS
from tests.pipeline.engines import Process

needs_java = [
    pytest.mark.kafka,
    pytest.mark.skipif(
        not (shutil.which("java") and shutil.which("mvn")) and os.environ.get("FEEDBACK_REQUIRE_KAFKA") != "1",
        reason="needs java and mvn on the PATH",
    ),
]


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=needs_java)])
def bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "kafka":
        broker = KafkaBroker(folder, deadline=180)
        broker.start()
        yield broker.bootstrap
        broker.kill()
        return
    (port,) = free_ports(1)
    tansu = Process(embedded_broker.command("127.0.0.1", port), folder / "broker.log")
    asyncio.run(embedded_broker.wait_until_ready(f"127.0.0.1:{port}"))
    yield f"127.0.0.1:{port}"
    tansu.kill()


@pytest.fixture
async def admin(bootstrap: str) -> AsyncIterator[Any]:
    """A client of a broker that has none of the topics."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    present = set(await client.list_topics()) - {"__consumer_offsets"}
    if present:
        await client.delete_topics(list(present))

    async def has_none() -> bool:
        return not set(await client.list_topics()) - {"__consumer_offsets"}

    await eventually(has_none)
    yield client
    await client.close()


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """Kafka answers before its metadata show what it did."""
    async with asyncio.timeout(30):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.05)


async def settings_of(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=None)])
    entries = answer[0].to_object()["resources"][0]["config_entries"]
    return {entry["config_names"]: entry["config_value"] for entry in entries}


async def has_settings(admin: AIOKafkaAdminClient, topic: str, wanted: dict[str, str]) -> bool:
    present = await settings_of(admin, topic)
    return {name: present.get(name) for name in wanted} == wanted


async def partitions_of(admin: AIOKafkaAdminClient) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}


@asynccontextmanager
async def running(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def test_every_topic_is_created_with_its_partitions_and_settings(bootstrap: str, admin: Any) -> None:
    assert sorted(await create_topics(bootstrap, 3)) == sorted(topic.name for topic in TOPICS)
    partitions = await partitions_of(admin)
    for topic in TOPICS:
        assert partitions[topic.name] == 3
        wanted = topic.settings() | {"min.insync.replicas": "1"}
        await eventually(partial(has_settings, admin, topic.name, wanted))


async def test_a_second_time_changes_nothing(bootstrap: str, admin: Any) -> None:
    await create_topics(bootstrap, 3)
    await eventually(lambda: has_settings(admin, ENRICHED, {"cleanup.policy": "compact"}))
    before = await settings_of(admin, ENRICHED)
    assert await create_topics(bootstrap, 3) == []
    assert await settings_of(admin, ENRICHED) == before


async def test_creating_at_once_from_two_places_creates_each_topic_once(bootstrap: str, admin: Any) -> None:
    first, second = await asyncio.gather(create_topics(bootstrap, 3), create_topics(bootstrap, 3))
    assert sorted(first + second) == sorted(topic.name for topic in TOPICS)


async def test_another_partition_count_is_refused_and_nothing_is_created(bootstrap: str, admin: Any) -> None:
    await admin.create_topics([NewTopic(FEEDBACK_EVENTS, 2, 1)])

    async def is_listed() -> bool:
        return FEEDBACK_EVENTS in await admin.list_topics()

    await eventually(is_listed)
    with pytest.raises(TopicError) as refusal:
        await create_topics(bootstrap, 3)
    assert str(refusal.value) == (
        f"Topic {FEEDBACK_EVENTS} at {bootstrap} has 2 partitions and 3 are wanted:"
        " give --partitions 2, or delete the feedback topics if their records may go."
    )
    assert set(await partitions_of(admin)) - {"__consumer_offsets"} == {FEEDBACK_EVENTS}


async def test_other_settings_are_put_right_and_those_of_the_operator_stay(
    bootstrap: str, admin: Any, request: pytest.FixtureRequest
) -> None:
    if "embedded" in request.node.name:
        pytest.skip("tansu alters no topic; it is only ever given new ones")
    own = {"retention.ms": "1000", "segment.bytes": "2000000"}
    await admin.create_topics([NewTopic(FEEDBACK_EVENTS, 3, 1, topic_configs=own)])
    await eventually(lambda: has_settings(admin, FEEDBACK_EVENTS, own))
    await create_topics(bootstrap, 3)
    wanted = {"retention.ms": str(7 * 24 * 3600 * 1000), "segment.ms": str(SEGMENT_MS), "segment.bytes": "2000000"}

    await eventually(lambda: has_settings(admin, FEEDBACK_EVENTS, wanted))


def test_settings_are_altered_as_a_whole_and_only_when_one_differs() -> None:
    present = {"a": ("1", False), "b": ("2", True), "theirs": ("x", True), "default": ("y", False)}
    assert altered_settings({"a": "1", "b": "2"}, present) == {}
    assert altered_settings({"a": "1", "b": "3"}, present) == {"a": "1", "b": "3", "theirs": "x"}
    assert altered_settings({"new": "1"}, present) == {"new": "1", "b": "2", "theirs": "x"}


async def test_a_broker_that_is_not_there_is_named() -> None:
    (port,) = free_ports(1)
    with pytest.raises(TopicError, match=rf"^Kafka at 127\.0\.0\.1:{port} does not answer: is it running there\?$"):
        await create_topics(f"127.0.0.1:{port}", 3)


async def test_the_end_is_the_offset_of_the_next_record_however_large_the_batches(bootstrap: str, admin: Any) -> None:
    await create_topics(bootstrap, 3)
    async with running(AIOKafkaProducer(bootstrap_servers=bootstrap)) as producer:
        for size in (1, 40, 7):
            batch = producer.create_batch()
            for _ in range(size):
                batch.append(key=None, value=b"x" * 90, timestamp=None)
            await (await producer.send_batch(batch, FEEDBACK_EVENTS, partition=1))
    ends = await end_offsets(bootstrap, [FEEDBACK_EVENTS, ENRICHED])
    assert ends == {(topic, p): 0 for topic in (FEEDBACK_EVENTS, ENRICHED) for p in range(3)} | {
        (FEEDBACK_EVENTS, 1): 48
    }


async def test_what_a_group_committed_is_found_and_the_rest_left_out(bootstrap: str, admin: Any) -> None:
    await create_topics(bootstrap, 3)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id="readers", enable_auto_commit=False)
    async with running(consumer):
        place = TopicPartition(FEEDBACK_EVENTS, 2)
        consumer.assign([place])
        await consumer.commit({place: 5})
    assert await committed_offsets(bootstrap, "readers", [FEEDBACK_EVENTS, ENRICHED]) == {(FEEDBACK_EVENTS, 2): 5}


async def test_a_log_is_drained_for_as_long_as_its_workers_go_on(
    bootstrap: str, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock moves by five seconds with each record that is stored, once it has looked for the one before."""
    await create_topics(bootstrap, 1)
    records, place, group = 10, TopicPartition(FEEDBACK_EVENTS, 0), f"slow-{uuid.uuid4().hex}"
    now, looked = 0, asyncio.Event()

    def clock() -> int:
        looked.set()
        return now

    monkeypatch.setattr(broker_offsets, "time", SimpleNamespace(monotonic=clock))
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=False) as producer:
        for _ in range(records):
            await producer.send_and_wait(FEEDBACK_EVENTS, b"x", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as worker:
        worker.assign([place])
        drained = asyncio.create_task(broker_offsets.drain(bootstrap, group))
        for stored in range(1, records + 1):
            looked.clear()
            await asyncio.wait({drained, asyncio.create_task(looked.wait())}, return_when=asyncio.FIRST_COMPLETED)
            await worker.commit({place: stored})
            now += 5
        assert await drained == 0

"""Receipts of what waits in Kafka: one connection and one reading of each record, however many ask."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from query_api.reading import pending_records
from query_api.reading.pending_index import PendingIndex
from query_api.reading.pending_records import PendingRecords
from runtime.http_errors import ApiError
from schemas.ids import new_id, partition_of
from schemas.topics import FEEDBACK_EVENTS
from tests.pipeline.engines import PARTITIONS
from tests.pipeline.ingest_api.edge_fixtures import Broker

HASH = 7


@asynccontextmanager
async def pending_records_of(broker: Broker) -> AsyncIterator[PendingRecords]:
    made = PendingRecords(broker.bootstrap, "feedback-workers")
    try:
        yield made
    finally:
        await made.close()


async def send(broker: Broker, count: int) -> list[str]:
    """Feedback on traces of one hash; their ids."""
    ids = [str(new_id(HASH, 1_700_000_000_000)) for _ in range(count)]
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    await producer.start()
    try:
        for each in ids:
            value = b'{"event":"create","workspace":"default","feedback_id":"%s"}' % each.encode()
            await producer.send_and_wait(FEEDBACK_EVENTS, value, partition=partition_of(HASH, PARTITIONS))
    finally:
        await producer.stop()
    return ids


@pytest.fixture
def call_counts(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often clients were started and records taken."""
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str, what: str) -> None:
        real = getattr(owner, name)

        def counting(self: Any, *given: Any) -> Any:
            counts[what] += 1
            return real(self, *given)

        monkeypatch.setattr(owner, name, counting)

    count(AIOKafkaConsumer, "start", "clients")
    count(AIOKafkaAdminClient, "start", "clients")
    count(PendingIndex, "take", "records")
    count(PendingRecords, "_take", "readings")
    return counts


async def test_any_number_of_unknown_ids_costs_two_clients_and_one_reading_of_the_backlog(
    broker: Broker, call_counts: Counter[str]
) -> None:
    known = await send(broker, 300)
    async with pending_records_of(broker) as pending:
        for _ in range(4):
            asked = [str(new_id(HASH, 1_700_000_000_000)) for _ in range(50)]
            found = await asyncio.gather(
                *(pending.hold("default", each, HASH) for each in [*asked, known[0], known[-1]])
            )
            assert found == [False] * 50 + [True] * 2
        assert not await pending.hold("other", known[0], HASH)
        assert call_counts["clients"] == 2
        assert call_counts["readings"] <= 2 * 4 + 1
        assert call_counts["records"] <= 300 + call_counts["readings"]
        (new,) = await send(broker, 1)
        assert await pending.hold("default", new, HASH), "what was accepted before it was asked for is always found"


async def test_too_many_askers_at_once_are_told_to_come_back(broker: Broker) -> None:
    async with pending_records_of(broker) as pending:
        asked = (pending.hold("default", "x", HASH) for _ in range(pending_records.MOST_ASKERS + 10))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [each for each in answers if isinstance(each, ApiError)]
        assert len(refused) == 10
        assert {(each.status, *each.headers) for each in refused} == {(503, (b"retry-after", b"1"))}
        assert [each for each in answers if each not in refused] == [False] * pending_records.MOST_ASKERS
        assert not await pending.hold("default", "x", HASH)


async def test_a_backlog_beyond_the_limits_is_a_503_until_it_is_known(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_records, "MOST_READ", 50)
    known = await send(broker, 120)
    async with pending_records_of(broker) as pending:
        answers: list[Any] = []
        while not answers or isinstance(answers[-1], ApiError):
            answers += await asyncio.gather(pending.hold("default", "never", HASH), return_exceptions=True)
            assert len(answers) < 10, "it never gets to the end"
        assert answers[-1] is False
        assert {(each.status, *each.headers) for each in answers[:-1]} == {(503, (b"retry-after", b"1"))}
        monkeypatch.setattr(pending_records, "MOST_KEPT", 100)
        with pytest.raises(ApiError, match="more records wait"):
            await pending.hold("default", "never", HASH)
        assert await pending.hold("default", known[3], HASH), "what is known is known"


async def test_a_broker_that_has_forgotten_is_read_anew(broker: Broker) -> None:
    before = await send(broker, 3)
    async with pending_records_of(broker) as pending:
        assert await pending.hold("default", before[2], HASH)
        broker.kill()
        await asyncio.to_thread(broker.restart)
        after = await send(broker, 5)
        for _ in range(20):
            try:
                found = [await pending.hold("default", each, HASH) for each in (before[2], *after)]
            except (KafkaError, OSError):
                continue  # the connection was to the broker of before
            break
        assert found == [False, *[True] * 5]

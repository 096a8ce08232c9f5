"""What a worker leaves of a consumer batch in which it is killed is found without its records, and made whole."""

import asyncio
import contextlib
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import clickhouse_connect
import pytest
from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.client import Client

from operations.broker_offsets import offset_base
from operations.produce import OutgoingRecord, invalidation
from operations.progress import Progress
from operations.reconcile.differences import Scope
from operations.reconcile.reconcile import reconcile
from operations.retention import store_setting
from operations.unfinished_batches import find_unfinished
from runtime.log_age import HIGHEST_SEQUENCES, highest_of
from schemas import ids, topics
from stream_workers.batches.process_batch import process_batch
from stream_workers.io.clickhouse_sink import store
from stream_workers.io.lookup import JournalStates, fetch_entries
from stream_workers.join.claims import Claim, digest_of, first_of_each_key
from stream_workers.join.decode import decode
from tests.pipeline.engines import clickhouse_with_tables
from tests.pipeline.running import roll_up
from tests.tries import TIMES
from tests.unit.stream_workers.test_replay import created, history, records, requested

PARTITIONS, BATCH_RECORDS = 3, 20


class Killed(Exception):
    """The worker does not send the next table."""


class Dying:
    """A client of ClickHouse that sends so many tables and no more."""

    def __init__(self, client: Any, tables: int) -> None:
        self._client, self._left = client, tables

    async def raw_insert(self, *arguments: Any) -> None:
        self._left -= 1
        if self._left < 0:
            raise Killed
        await self._client.raw_insert(*arguments)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clickhouse_with_tables(tmp_path_factory.mktemp("unfinished") / "clickhouse") as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=url, autogenerate_session_id=False) as opened:
        yield opened


@pytest.fixture
def workers(url: str) -> Iterator["Workers"]:
    running = Workers(url)
    yield running
    running.close()


class Workers:
    """Workers without Kafka. They share an event loop and a client: to make one takes 20 ms of CPU."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        opening = clickhouse_connect.get_async_client(dsn=url, autogenerate_session_id=False)
        self._sql = self._runner.run(opening)

    def close(self) -> None:
        self._runner.run(self._sql.close())
        self._runner.close()

    def work(self, logs: dict[str, list[ConsumerRecord]], base: int, tables_of_last: int | None = None) -> None:
        """Store the records of one partition's logs as a worker does, of the last batch so many tables; None: all."""
        self._runner.run(self._work(logs, base, tables_of_last))

    def read(self, events: list[OutgoingRecord], base: int) -> None:
        """Store what follows from these events, the first of a new log."""
        logs: dict[int, list[ConsumerRecord]] = defaultdict(list)
        for each in events:
            partition = ids.partition_of(each.trace_hash, PARTITIONS)
            log, key, value = logs[partition], each.key, each.value
            log.append(ConsumerRecord(each.topic, partition, len(log), 0, 0, key, value, None, 0, 0, ()))
        for log in logs.values():
            self.work({topics.FEEDBACK_EVENTS: log}, base)

    async def _work(self, logs: dict[str, list[ConsumerRecord]], base: int, tables_of_last: int | None) -> None:
        claims: dict[Claim, str] = {}
        while any(logs.values()):
            batch = [record for log in logs.values() for record in log[:BATCH_RECORDS]]
            logs = {topic: log[BATCH_RECORDS:] for topic, log in logs.items()}
            incoming, rejected = decode(batch, base)
            for claim, event in first_of_each_key(incoming).items():
                claims.setdefault(claim, digest_of(event))
            states = JournalStates(await fetch_entries(self._sql, {each.trace_hash for each in incoming}))
            (*_, result) = process_batch(incoming, rejected, {}, states, claims, 1_000_000)
            assert result is not None
            is_cut = tables_of_last is not None and not any(logs.values())
            client: Any = Dying(self._sql, tables_of_last or 0) if is_cut else self._sql
            await store(client, result.rows)


def logs_of(chance: random.Random, workspace: str) -> list[dict[str, list[ConsumerRecord]]]:
    """Random logs of all partitions, without expiries, because the records that one names were committed before."""
    made = history(chance, workspace, 60, chance.randrange(20, 250))
    return [
        {
            topic: [
                replace(each, partition=partition)
                for each in records(topic, [e for e in events if is_kept(e, partition)], chance)
            ]
            for topic, events in made.items()
        }
        for partition in range(PARTITIONS)
    ]


def is_kept(event: dict[str, Any], partition: int) -> bool:
    identity = UUID(event.get("request_id") or event["feedback_id"])
    return event["event"] != "expire" and ids.partition_of(ids.trace_hash_of(identity), PARTITIONS) == partition


def next_base(client: Client) -> int:
    return offset_base(max(highest_of(client.query(HIGHEST_SEQUENCES).result_rows).values(), default=None), None)


def differences(url: str) -> list[str]:
    asyncio.run(roll_up(url))
    return [str(each) for each in reconcile(url, Scope(), repair=False, settle_s=0, progress=Progress())]


def test_a_removal_that_was_stored_in_part_is_carried_out_and_nothing_comes_back(
    url: str, client: Client, workers: Workers
) -> None:
    chance, base = random.Random(1), next_base(client)
    store_setting(client, "expired_before", 2**31)  # as `feedback expire` does first
    event = created(chance, "removed", 0, "expiring")
    trace_hash = ids.trace_hash_of(UUID(event["feedback_id"]))
    expiry = {
        "event": "expire", "feedback_id": str(ids.new_id(trace_hash, 0)), "expired_at": event["created_at"],
        "feedback_before": base + 1, "requests_before": base,
    }  # fmt: skip
    partition = ids.partition_of(trace_hash, PARTITIONS)
    log = [replace(r, partition=partition) for r in records(topics.FEEDBACK_EVENTS, [event, expiry], chance)]
    workers.work({topics.FEEDBACK_EVENTS: log[:1]}, base)
    shown = "SELECT count() FROM feedback.feedback WHERE workspace = 'expiring'"
    assert int(str(client.command(shown))) == 1
    with contextlib.suppress(Killed):
        workers.work({topics.FEEDBACK_EVENTS: log[1:]}, base, 1)
    found = find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS)
    assert (trace_hash, "expiring") in found
    workers.read([invalidation(each.workspace, each.trace_hash) for each in found], next_base(client))
    assert int(str(client.command(shown))) == 0
    assert differences(url) == []
    assert find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS) == []


def test_a_request_of_which_the_numbers_of_its_trace_do_not_know_is_found(
    url: str, client: Client, workers: Workers
) -> None:
    chance, base = random.Random(2), next_base(client)
    event, request = created(chance, "judged", 0, "counted"), requested(chance, "judged", 1, "counted")
    trace_hash = ids.trace_hash_of(UUID(event["feedback_id"]))
    partition = ids.partition_of(trace_hash, PARTITIONS)

    def log(topic: str, *events: dict[str, Any]) -> dict[str, list[ConsumerRecord]]:
        return {topic: [replace(each, partition=partition) for each in records(topic, [*events], random.Random(1))]}

    workers.work(log(topics.FEEDBACK_EVENTS, event), base)
    with contextlib.suppress(Killed):
        workers.work(log(topics.REQUEST_LOGS, request), base, 2)
    known = "SELECT requests FROM feedback.trace_aggregates WHERE workspace = 'counted'"
    assert int(str(client.command(known))) == 0
    found = find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS)
    assert (trace_hash, "counted") in found
    workers.read([invalidation(each.workspace, each.trace_hash) for each in found], next_base(client))
    assert int(str(client.command(known))) == 1
    assert differences(url) == []


def test_after_any_kill_the_traces_of_the_last_batch_are_found_and_their_events_make_them_whole(
    url: str, client: Client, workers: Workers
) -> None:
    chance = random.Random()
    seed = chance.randrange(2**32)
    chance.seed(seed)
    found_any = 0
    find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS)
    for number in range(4 * TIMES):
        base = next_base(client)
        for logs in logs_of(chance, f"w{number}"):
            with contextlib.suppress(Killed):
                workers.work(logs, base, chance.choice([None, 0, 1, 2, 3, 4]))
        # The next start may be told of smaller batches than the killed worker had.
        of_smaller_batches = find_unfinished(client, PARTITIONS, 1)
        found = find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS)
        assert sorted(of_smaller_batches) == sorted(found), f"seed {seed}"
        found_any += len(found)
        if chance.random() < 0.4:
            continue  # the broker dies again before the workers read the events
        workers.read([invalidation(each.workspace, each.trace_hash) for each in found], next_base(client))
        assert differences(url) == [], f"seed {seed}"
        assert find_unfinished(client, PARTITIONS, 2 * BATCH_RECORDS) == [], f"seed {seed}"
    assert found_any, f"seed {seed}"

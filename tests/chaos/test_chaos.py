"""Everything is killed, frozen and cut off while calls come in; afterwards every promise is held against the books.

`make chaos` runs it long: SEED= chooses the schedule and the load, EVENTS= how many events at least, ROUNDS= how often
each kind of trouble happens, SCHEDULE= a file with a schedule of one's own (tests/chaos/schedule.py). Without these it
is short: a quarter of the kinds, which the seed chooses.
"""

import asyncio
import os
import random
import threading
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import ConsumerRecord

from deploy import cli
from operations.expire.expiry import expire
from operations.progress import Progress
from runtime.kafka_offsets import committed_offsets, end_offsets
from schemas.topics import AGGREGATES, DEAD, ENRICHED, INPUTS, REQUEST_LOGS
from stream_workers.rollup.statements import STALE
from tests.chaos.load import Client
from tests.chaos.removal import place_of
from tests.chaos.schedule import carry_out, load, schedule
from tests.chaos.system import PARTITIONS, System
from tests.model import Model, Outcome, Row, check, parsed
from tests.pipeline.engines import until
from tests.tries import TIMES, tries

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
EVENTS = tries(3_000, "EVENTS")
ROUNDS = float(os.environ.get("ROUNDS") or TIMES / 4)
SCHEDULE = os.environ.get("SCHEDULE")
CLIENTS = 4
Published = dict[tuple[str, bytes], tuple[int, bytes | None]]


@pytest.mark.kafka
@pytest.mark.chaos
def test_every_promise_is_kept_through_kills_cuts_and_rebalances(tmp_path: Path) -> None:
    say = print
    say(f"\nSEED={SEED} EVENTS={EVENTS} ROUNDS={ROUNDS:.2g}" + (f" SCHEDULE={SCHEDULE}" if SCHEDULE else ""))
    actions = load(Path(SCHEDULE)) if SCHEDULE else schedule(SEED, ROUNDS)
    system = System(tmp_path)
    try:
        stop = threading.Event()
        urls = [f"http://127.0.0.1:{port}" for port in system.edge_ports]
        clients = [Client(SEED + n, urls, EVENTS // CLIENTS, 4 * len(actions), stop) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        carry_out(system, actions, say)
        asyncio.run(poison(system.bootstrap))
        system.mend()
        stop.set()
        until(lambda: is_done(system, clients), "the clients have sent their share", 900)
        assert [client.error for client in clients if client.error] == []
        accepted, repeated = (sum(getattr(c.promises, name) for c in clients) for name in ("events", "failures"))
        say(f"{accepted:,} events accepted, {repeated:,} calls repeated; waiting for the workers")
        settle(system, say)
        expire(place_of(system), None, Progress())
        verify(system, clients, say)
        ended = [(each.name, words) for each in system.programs() for words in each.last_words]
        say(f"programs that ended by themselves and were started again: {len(ended)}")
        for name, words in ended:
            say(f"--- {name}\n{words}")
    finally:
        system.close()


def is_done(system: System, clients: list[Client]) -> bool:
    system.revive()
    return not any(client.is_alive() for client in clients)


async def poison(bootstrap: str) -> None:
    """Records that are no events, from a producer that is not ours."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for partition in range(PARTITIONS):
            for topic in INPUTS:
                await producer.send_and_wait(topic, b'{"event":"create"', partition=partition)
    finally:
        await producer.stop()


def settle(system: System, say: Any) -> None:
    """Wait until workers have stored and committed everything, or say what is stuck."""

    def waiting() -> dict[str, int]:
        system.revive()
        ends = asyncio.run(end_offsets(system.bootstrap, INPUTS))
        committed = asyncio.run(committed_offsets(system.bootstrap, "feedback-workers", INPUTS))
        return {
            f"{topic}/{n}": left for (topic, n), end in ends.items() if (left := end - committed.get((topic, n), 0))
        }

    try:
        until(lambda: not waiting(), "the workers have taken everything in", 300)
    except pytest.fail.Exception:
        say(f"stuck: {waiting()}")
        for worker in system.workers:
            say(
                f"--- {worker.name}, running: {worker.running}\n" + "\n".join(worker.log.read_text().splitlines()[-15:])
            )
        raise
    client = clickhouse_connect.get_client(dsn=system.clickhouse_url)
    until(lambda: not client.query(STALE).result_rows, "the rollups have caught up", 120)


def verify(system: System, clients: list[Client], say: Any) -> None:
    logs = asyncio.run(read(system.bootstrap, INPUTS))
    events = Counter(topic for topic, _ in logs for _ in logs[topic, _])
    say(f"records in the logs: {dict(events)}")
    address = ["--clickhouse-url", system.clickhouse_url]
    assert cli.main(["audit", *address, "--bootstrap", system.bootstrap]) == 0, "the books are wrong"
    promises_are_kept(logs, clients)
    claims = owners(system.clickhouse_url)
    published = newest(asyncio.run(read(system.bootstrap, (ENRICHED, AGGREGATES, DEAD))))
    removed = 0
    for partition, outcome in outcomes(system.clickhouse_url, published).items():
        model = Model({topic: logs.get((topic, partition), []) for topic in INPUTS}, claims)
        gone = outcome.gone - outcome.journal
        assert gone <= model.covered, "more was removed than with the traces"
        requests = {parsed(record.value)["request_id"] for record in logs.get((REQUEST_LOGS, partition), [])
                    if ("request", record.offset) in gone}  # fmt: skip
        outcome.gone = gone | {("row", each) for each in requests}
        removed += len(gone)
        check(model, outcome)
    say(f"records removed with their traces: {removed:,}")
    assert cli.main(["reconcile", *address]) == 0, "what is stored is not what was accepted"


def promises_are_kept(logs: dict[tuple[str, int], list[ConsumerRecord]], clients: list[Client]) -> None:
    """Everything that got a 200 is in the log, and nothing that no call has sent."""
    creates: set[str] = set()
    changes: Counter[str] = Counter()
    logged: set[str] = set()
    for (topic, _), records in logs.items():
        for event in (parsed(record.value) for record in records):
            if topic == REQUEST_LOGS and event:
                logged.add(event["request_id"])
            elif event.get("event") == "create":
                creates.add(event["feedback_id"])
            elif event:
                changes[event["feedback_id"]] += 1
    accepted = set().union(*(client.promises.accepted for client in clients))
    attempted = set().union(*(client.promises.attempted for client in clients))
    assert accepted <= creates, f"{len(accepted - creates)} accepted feedbacks are in no log"
    assert creates <= attempted, f"{len(creates - attempted)} feedbacks are in the log that nobody sent"
    promised = set().union(*(client.promises.logged for client in clients))
    assert promised <= logged, f"{len(promised - logged)} accepted requests are in no log"
    assert len(logged) <= sum(client.promises.logs_attempted for client in clients)
    for client in clients:
        for feedback_id, count in client.promises.changes_accepted.items():
            assert count <= changes[feedback_id] <= client.promises.changes_attempted[feedback_id], feedback_id


async def read(bootstrap: str, topics: tuple[str, ...]) -> dict[tuple[str, int], list[ConsumerRecord]]:
    """Every record of these topics, by topic and partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    found: dict[tuple[str, int], list[ConsumerRecord]] = defaultdict(list)
    try:
        places = [TopicPartition(topic, partition) for topic in topics for partition in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await consumer.getmany(timeout_ms=500)).items():
                found[place.topic, place.partition] += records
    finally:
        await consumer.stop()
    return found


def newest(logs: dict[tuple[str, int], list[ConsumerRecord]]) -> dict[int, Published]:
    """What a consumer that keeps the highest version per key holds of each partition."""
    held: dict[int, Published] = defaultdict(dict)
    for (topic, partition), records in logs.items():
        of_partition = held[partition]
        for record in records:
            version = int(dict(record.headers).get("version", b"0"))
            if (topic, record.key) not in of_partition or version >= of_partition[topic, record.key][0]:
                of_partition[topic, record.key] = (version, record.value)
    return held


def owners(url: str) -> dict[tuple[str, str], str]:
    """The digest to which each idempotency key belongs; one for all partitions."""
    rows = clickhouse_connect.get_client(dsn=url).query(
        "SELECT workspace, idempotency_key, argMin(digest, _block_number) FROM feedback.idempotency_keys GROUP BY ALL"
    )
    return {(workspace, key): digest for workspace, key, digest in rows.result_rows}


def outcomes(url: str, published: dict[int, Published]) -> dict[int, Outcome]:
    """What is stored, by the partition it came from."""
    client = clickhouse_connect.get_client(dsn=url)

    def rows(query: str) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = defaultdict(list)
        for row in client.query_arrow(query).to_pylist():
            found[row.pop("place")].append(row)
        return found

    of_id = "reinterpretAsUInt32(reverse(unhex(substring(toString({id}), 25, 8))))"
    place = f"toUInt16(bitAnd({of_id}, 2147483647) % {PARTITIONS}) AS place"
    feedback = rows(
        f"SELECT {place.format(id='r.feedback_id')}, * REPLACE (toString(feedback_id) AS feedback_id) FROM ("
        "SELECT * FROM feedback.feedback_rows ORDER BY version DESC LIMIT 1 BY workspace, home_organisation,"
        " home_environment, home_prompt, home_user, created_at, feedback_id) AS r"
    )
    aggregates = rows(
        f"SELECT toUInt16(kafkaMurmurHash(concat(workspace, '/', trace_id)) % {PARTITIONS}) AS place, *"
        " FROM feedback.trace_aggregate_rows FINAL"
    )
    requests = rows(
        f"SELECT DISTINCT {place.format(id='request_id')}, toString(request_id) AS id FROM feedback.request_log_rows"
    )
    dead = rows("SELECT DISTINCT kafka_partition AS place, topic, sequence FROM feedback.dead_letters")
    journal = rows("SELECT DISTINCT kafka_partition AS place, kind::String AS kind, sequence FROM feedback.journal")
    expired = rows(
        f"SELECT kafka_partition AS place, if(topic = '{REQUEST_LOGS}', 'request', 'feedback') AS kind, sequence"
        " FROM feedback.expired_records"
    )
    return {
        partition: Outcome(
            feedback[partition],
            aggregates[partition],
            {row["id"] for row in requests[partition]},
            {(row["topic"], row["sequence"]) for row in dead[partition]},
            {(row["kind"], row["sequence"]) for row in journal[partition]},
            published[partition],
            {(row["kind"], row["sequence"]) for row in expired[partition]},
        )
        for partition in range(PARTITIONS)
    }

"""Random histories of several workspaces, joined and stored in ClickHouse as workers do it, but without Kafka."""

import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.client import Client

from schemas import topics
from stream_workers.io.arrow_rows import tables
from stream_workers.join.decode import decode
from stream_workers.join.trace_join import Claim, apply, digest_of, first_of_each_key
from stream_workers.join.trace_state import Bucket
from tests.unit.stream_workers.test_replay import history, records

PARTITIONS, POLL = 3, 20
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}


def store_histories(client: Client, seed: int, workspaces: int, traces: int, events: int) -> None:
    """Store what these histories come to, as if partitions took turns."""
    chance = random.Random(seed)
    logs: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for number in range(workspaces):
        for topic, of_workspace in history(chance, f"w{number}", traces, events).items():
            # Without removals of traces: what their notices name must be committed before they are sent.
            logs[topic, number % PARTITIONS] += [each for each in of_workspace if each["event"] != "expire"]
    for partition in range(PARTITIONS):
        of_partition = {
            topic: [replace(each, partition=partition) for each in records(topic, logs[topic, partition], chance)]
            for topic in topics.INPUTS
        }
        store_records(client, of_partition)


def store_records(client: Client, logs: dict[str, list[ConsumerRecord]], poll: int = POLL) -> None:
    """Join and store the records of one partition's logs, so many of each at once."""
    buckets: dict[int, Bucket] = defaultdict(Bucket)
    claims: dict[Claim, str] = {}
    waiting = dict(logs)
    while any(waiting.values()):
        batch = [record for log in waiting.values() for record in log[:poll]]
        waiting = {topic: log[poll:] for topic, log in waiting.items()}
        arrivals, faults = decode(batch, 0)
        for claim, event in first_of_each_key(arrivals).items():
            claims.setdefault(claim, digest_of(event))
        changes = apply({arrival.trace_hash: buckets[arrival.trace_hash] for arrival in arrivals}, arrivals, claims)
        changes.dead += faults
        for name, rows in tables(changes).items():
            client.insert_arrow(f"feedback.{name}", rows, settings=SETTINGS)

"""Random histories of several workspaces, joined and stored in ClickHouse as workers do it, but without Kafka."""

import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas import topics
from stream_workers.decode import decode
from stream_workers.join import Claim, apply, digest_of, first_of_each_key
from stream_workers.rows import tables
from stream_workers.state import Bucket
from tests.unit.test_replay import history, records

PARTITIONS, POLL = 3, 20
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}


def store_histories(client: Client, seed: int, workspaces: int, traces: int, events: int) -> None:
    """Store what these histories come to, as if partitions took turns."""
    chance = random.Random(seed)
    logs: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for number in range(workspaces):
        for topic, of_workspace in history(chance, f"w{number}", traces, events).items():
            logs[topic, number % PARTITIONS] += of_workspace
    for partition in range(PARTITIONS):
        store_logs(client, {topic: logs[topic, partition] for topic in topics.INPUTS}, partition, chance)


def store_logs(
    client: Client, logs: dict[str, list[dict[str, Any]]], partition: int, chance: random.Random, poll: int = POLL
) -> None:
    """Join and store the events of one partition's logs, so many of each at once."""
    buckets: dict[int, Bucket] = defaultdict(Bucket)
    claims: dict[Claim, str] = {}
    waiting = {topic: records(topic, events, chance) for topic, events in logs.items()}
    while any(waiting.values()):
        batch = [replace(record, partition=partition) for log in waiting.values() for record in log[:poll]]
        waiting = {topic: log[poll:] for topic, log in waiting.items()}
        arrivals, faults = decode(batch, 0)
        for claim, event in first_of_each_key(arrivals).items():
            claims.setdefault(claim, digest_of(event))
        changes = apply({arrival.trace_hash: buckets[arrival.trace_hash] for arrival in arrivals}, arrivals, claims)
        changes.dead += faults
        for name, rows in tables(changes).items():
            client.insert_arrow(f"feedback.{name}", rows, settings=SETTINGS)

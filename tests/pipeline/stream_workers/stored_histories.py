"""Random histories of several workspaces, joined and stored in ClickHouse as workers do it, but without Kafka."""

import random
from collections import defaultdict
from dataclasses import replace
from typing import Any

from aiokafka.structs import ConsumerRecord
from clickhouse_connect.driver.client import Client

from schemas import topics
from stream_workers.io.arrow_rows import tables
from stream_workers.join.claims import Claim, digest_of, first_of_each_key
from stream_workers.join.decode import decode
from stream_workers.join.trace_join import apply
from stream_workers.join.trace_state import HashBucket
from tests.unit.stream_workers.test_replay import history, records

PARTITIONS, BATCH_RECORDS = 3, 20
SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "max_partitions_per_insert_block": 0}


def store_histories(client: Client, seed: int, workspaces: int, traces: int, events: int) -> None:
    """Store the rows that follow from these histories, as if partitions took turns."""
    chance = random.Random(seed)
    logs: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for number in range(workspaces):
        for topic, of_workspace in history(chance, f"w{number}", traces, events).items():
            # Without expiries: the records that they name must be committed before they are sent.
            logs[topic, number % PARTITIONS] += [each for each in of_workspace if each["event"] != "expire"]
    for partition in range(PARTITIONS):
        of_partition = {
            topic: [replace(each, partition=partition) for each in records(topic, logs[topic, partition], chance)]
            for topic in topics.INPUTS
        }
        store_records(client, of_partition)


def store_records(client: Client, logs: dict[str, list[ConsumerRecord]], batch_records: int = BATCH_RECORDS) -> None:
    """Join and store the records of one partition's logs, in batches of so many records of each log.

    Nothing is read from the journal, so an expire event removes no feedback from what is shown.
    """
    buckets: dict[int, HashBucket] = defaultdict(HashBucket)
    claims: dict[Claim, str] = {}
    waiting = dict(logs)
    while any(waiting.values()):
        batch = [record for log in waiting.values() for record in log[:batch_records]]
        waiting = {topic: log[batch_records:] for topic, log in waiting.items()}
        incoming, rejected = decode(batch, 0)
        for claim, event in first_of_each_key(incoming).items():
            claims.setdefault(claim, digest_of(event))
        of_batch = {each.trace_hash: buckets[each.trace_hash] for each in incoming}
        changes = apply(of_batch, incoming, claims, defaultdict(tuple))
        changes.rejected += rejected
        for name, rows in tables(changes).items():
            client.insert_arrow(f"feedback.{name}", rows, settings=SETTINGS)

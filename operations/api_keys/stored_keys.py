"""Reads and writes API keys in both of their places, and makes these the same.

ClickHouse (feedback.api_keys) has the keys for the queries, Kafka (topic api.keys.v1) for the edges. Either may be lost
or older than the other. So their union counts: each key that one of them has, in the furthest state that one of them
has. Promises that nothing here removes a key or a revocation, and that a secret goes only to the maker of the key.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

import clickhouse_connect
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pydantic import ValidationError

from operations.connections import CommandError
from runtime.addresses import dsn
from runtime.kafka_admin import kafka_admin, partitions_of
from runtime.kafka_consumer import started_consumer
from schemas.api_keys import STORED_KEYS, ApiKey, key_of_row, new_key
from schemas.topics import API_KEYS

_COLUMNS = tuple(ApiKey.model_fields)
_READ_S = 20.0

log = logging.getLogger(__name__)


class KeyUnion(NamedTuple):
    """The union of both places, the oldest key first, and what each of them lacks."""

    keys: list[ApiKey]
    lacking_in_clickhouse: list[ApiKey]
    lacking_in_kafka: list[ApiKey]


def union_of(in_clickhouse: Iterable[ApiKey], in_kafka: Iterable[ApiKey]) -> KeyUnion:
    """The union: the furthest record of each key. Pure."""
    places = [_latest_stages(in_clickhouse), _latest_stages(in_kafka)]
    known = _latest_stages(key for place in places for key in place.values())
    lacking = [
        [key for key_id, key in known.items() if key_id not in place or place[key_id].stage < key.stage]
        for place in places
    ]
    return KeyUnion(sorted(known.values(), key=lambda key: (key.created_at, key.key_id)), *lacking)


def reopening_records(keys: Iterable[ApiKey], at: datetime) -> list[ApiKey]:
    """The records to write so that these keys no longer close the server. Pure but for a random id.

    One of them is a new key that nobody has. It marks this opening as a new one, even if there are no other keys.
    """
    _, never_used = new_key("default", ["admin"], at, name="the server was opened")
    return [key.left_behind(at) for key in (*keys, never_used) if not key.reopened_at]


def stored_keys(client: Client) -> list[ApiKey]:
    """All keys in ClickHouse, the oldest first. Raises what the client raises."""
    return [key_of_row(row) for row in client.query(STORED_KEYS).named_results()]


def store(client: Client, *keys: ApiKey) -> None:
    """Write the present records of keys. Returns when ClickHouse has stored them."""
    if keys:
        client.insert(
            "feedback.api_keys",
            [[*(getattr(key, name) for name in _COLUMNS), key.stage] for key in keys],
            column_names=[*_COLUMNS, "is_revoked"],
            settings={"async_insert": 0},
        )


async def published_keys(bootstrap: str) -> list[ApiKey]:
    """All records of the topic from which edges read their keys.

    KafkaError, TimeoutError, or CommandError where the topic does not exist. Records that this version cannot read are
    left out; they close the edges.
    """
    places = await _places(bootstrap)
    found: list[ApiKey] = []
    async with asyncio.timeout(_READ_S), started_consumer(bootstrap, fetch_max_wait_ms=50) as consumer:
        consumer.assign(places)
        for place in places:
            # Not seek_to_beginning: it looks the topic up by name, and a broker may then create it.
            consumer.seek(place, 0)
        waiting = set(places)
        while waiting:
            for records in (await consumer.getmany(timeout_ms=50)).values():
                found += [key for key in (_key_in(record.value) for record in records) if key]
            for place in list(waiting):
                end = consumer.highwater(place)
                if end is not None and await consumer.position(place) >= end:
                    waiting.remove(place)
    return found


async def publish(bootstrap: str, keys: Sequence[ApiKey]) -> None:
    """Write the keys to their topic and return when Kafka has them; each is a batch of its own.

    KafkaError, or CommandError where the topic does not exist. Edges ignore records that they know.
    """
    await _places(bootstrap)
    if not keys:
        return
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=10_000)
    await producer.start()
    try:
        for key in keys:
            # One at a time: the embedded broker reports the end of a log correctly only for batches of one record.
            await producer.send_and_wait(
                API_KEYS,
                key.model_dump_json().encode(),
                key=key.key_id.encode(),
                headers=[("version", b"%d" % (key.stage + 1))],
            )
    finally:
        await producer.stop()


async def synchronize(client: Client, bootstrap: str) -> KeyUnion:
    """Write what each place lacks; what that was. Raises what either raises."""
    found = union_of(await asyncio.to_thread(stored_keys, client), await published_keys(bootstrap))
    await asyncio.to_thread(store, client, *found.lacking_in_clickhouse)
    await publish(bootstrap, found.lacking_in_kafka)
    return found


async def synchronize_when_engines_answer(clickhouse_url: str, bootstrap: str) -> KeyUnion:
    """`synchronize`, as soon as both places answer."""
    while True:
        try:
            client = await asyncio.to_thread(
                clickhouse_connect.get_client, **dsn(clickhouse_url), autogenerate_session_id=False
            )
            with closing(client):
                return await synchronize(client, bootstrap)
        except (ClickHouseError, KafkaError, TimeoutError, OSError):
            await asyncio.sleep(0.2)


def active_keys(keys: Iterable[ApiKey], at: datetime) -> list[ApiKey]:
    """The keys that are neither revoked nor expired."""
    return [key for key in keys if not key.revoked_at and (key.expires_at is None or key.expires_at > at)]


def _latest_stages(keys: Iterable[ApiKey]) -> dict[str, ApiKey]:
    known: dict[str, ApiKey] = {}
    for key in keys:
        if key.key_id not in known or known[key.key_id].stage < key.stage:
            known[key.key_id] = key
    return known


def _key_in(value: bytes | None) -> ApiKey | None:
    try:
        return None if value is None else ApiKey.model_validate_json(value)
    except ValidationError:
        return None


async def _places(bootstrap: str) -> list[TopicPartition]:
    async with kafka_admin(bootstrap) as admin:
        places = await partitions_of(admin, [API_KEYS])
    if not places:
        raise CommandError(f"Topic {API_KEYS} does not exist in Kafka at {bootstrap}: run `feedback topics` first.")
    return places

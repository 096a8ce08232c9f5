"""API keys as they are made, listed, revoked and published.

ClickHouse is the truth: a key exists once its row is there, and is revoked once its second row is. Kafka's topic
api.keys.v1 is a copy for the edges, written after it, and may be written again from ClickHouse at any time. Promises
that a secret goes nowhere but to whoever made the key.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime

import clickhouse_connect
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from deploy.engines import CommandError
from schemas.addresses import dsn
from schemas.keys import STORED_KEYS, ApiKey, key_of_row
from schemas.topics import API_KEYS

_COLUMNS = tuple(ApiKey.model_fields)


def stored_keys(client: Client) -> list[ApiKey]:
    """All keys that were ever made, the oldest first. Raises what the client raises."""
    return [key_of_row(row) for row in client.query(STORED_KEYS).named_results()]


def store(client: Client, key: ApiKey) -> None:
    """Write a key's row, or that it is revoked; returns when ClickHouse has it."""
    row = [getattr(key, name) for name in _COLUMNS]
    client.insert(
        "feedback.api_keys",
        [[*row, int(key.revoked_at is not None)]],
        column_names=[*_COLUMNS, "is_revoked"],
        settings={"async_insert": 0},
    )


def revoke(client: Client, key_id: str, at: datetime) -> ApiKey:
    """Revoke a key in ClickHouse; its record. CommandError where there is none."""
    key = next((each for each in stored_keys(client) if each.key_id == key_id), None)
    if key is None:
        raise CommandError(f"There is no API key {key_id}: `feedback keys list` shows all.")
    key = key.revoked(at)
    store(client, key)
    return key


async def publish(bootstrap: str, keys: Sequence[ApiKey]) -> None:
    """Write the keys to their topic and return when Kafka has them; each is a batch of its own.

    KafkaError, or CommandError where the topic does not exist. What edges know already, they know as before.
    """
    if not await _has_topic(bootstrap):
        raise CommandError(f"Topic {API_KEYS} does not exist in Kafka at {bootstrap}: run `feedback topics` first.")
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", request_timeout_ms=10_000)
    await producer.start()
    try:
        for key in keys:
            version = b"2" if key.revoked_at else b"1"
            # One at a time: where the embedded broker's log ends is only known for batches of one record.
            await producer.send_and_wait(
                API_KEYS, key.model_dump_json().encode(), key=key.key_id.encode(), headers=[("version", version)]
            )
    finally:
        await producer.stop()


async def publish_all(clickhouse_url: str, bootstrap: str) -> list[ApiKey]:
    """Publish what ClickHouse has; all of it. Waits while either engine does not answer."""

    def read() -> list[ApiKey]:
        with closing(clickhouse_connect.get_client(**dsn(clickhouse_url), autogenerate_session_id=False)) as client:
            return stored_keys(client)

    while True:
        try:
            keys = await asyncio.to_thread(read)
            await publish(bootstrap, keys)
            return keys
        except (ClickHouseError, KafkaError):
            await asyncio.sleep(0.2)


def valid(keys: Iterable[ApiKey], at: datetime) -> list[ApiKey]:
    """Those that are neither revoked nor expired."""
    return [key for key in keys if not key.revoked_at and (key.expires_at is None or key.expires_at > at)]


async def _has_topic(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        # Asked without naming it: the embedded broker makes any topic that it is asked about.
        return API_KEYS in {each["topic"] for each in await admin.describe_topics()}
    finally:
        await admin.close()

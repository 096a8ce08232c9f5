"""Changes API keys, first in ClickHouse and then in Kafka, for `feedback keys` and the HTTP API.

Functions that use ClickHouse raise CommandError inside `operations.connections.clickhouse`, those that use Kafka by
themselves. If Kafka is away after ClickHouse has stored a change, the change is valid, and `feedback keys sync` brings
it to Kafka.
"""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from operations.api_keys.arguments import now
from operations.api_keys.stored_keys import KeyUnion, publish, published_keys, store, stored_keys, union_of
from operations.connections import CommandError, kafka
from schemas.api_keys import ApiKey


class UnknownKeyError(CommandError):
    """No key has this id."""


def all_keys(client: Client, bootstrap: str) -> KeyUnion:
    """The keys of both places, and what each place lacks. CommandError if Kafka is away."""
    return union_of(stored_keys(client), kafka(bootstrap, published_keys(bootstrap)))


def find(client: Client, bootstrap: str, key_id: str, workspace: str | None = None) -> ApiKey:
    """The key of this id, from ClickHouse or else from Kafka. CommandError where there is none in the workspace."""
    keys = {key.key_id: key for key in stored_keys(client)}
    if key_id not in keys:
        keys = {key.key_id: key for key in union_of([], kafka(bootstrap, published_keys(bootstrap))).keys}
    if key_id not in keys or workspace not in (None, keys[key_id].workspace):
        raise UnknownKeyError(f"There is no API key {key_id}: `feedback keys list` shows all.")
    return keys[key_id]


def revoke(client: Client, key: ApiKey) -> ApiKey:
    """Revoke a key in ClickHouse; the record to send to Kafka."""
    revoked = key.revoked(now())
    store(client, revoked)
    return revoked


def send(bootstrap: str, keys: Sequence[ApiKey]) -> None:
    """Send keys to their topic, from which the edges read them. CommandError if Kafka is away."""
    kafka(bootstrap, publish(bootstrap, keys))

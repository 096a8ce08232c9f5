"""Changes of API keys, made in ClickHouse first and then in Kafka: what `feedback keys` and the HTTP API do alike.

ClickHouse's part raises CommandError inside `operations.connections.clickhouse`; that of Kafka raises it here. Where
Kafka is away after ClickHouse has taken a change, the change stands, and `feedback keys sync` brings it to Kafka.
"""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from operations.api_keys.arguments import now
from operations.api_keys.stored_keys import Both, both, publish, published_keys, store, stored_keys
from operations.connections import CommandError, kafka
from schemas.api_keys import ApiKey


class UnknownKeyError(CommandError):
    """No key has this id."""


def all_keys(client: Client, bootstrap: str) -> Both:
    """The keys of both places, and what each lacks. CommandError without Kafka."""
    return both(stored_keys(client), kafka(bootstrap, published_keys(bootstrap)))


def find(client: Client, bootstrap: str, key_id: str, workspace: str | None = None) -> ApiKey:
    """The key of this id, from ClickHouse or else from Kafka. CommandError where there is none in the workspace."""
    keys = {key.key_id: key for key in stored_keys(client)}
    if key_id not in keys:
        keys = {key.key_id: key for key in both([], kafka(bootstrap, published_keys(bootstrap))).keys}
    if key_id not in keys or workspace not in (None, keys[key_id].workspace):
        raise UnknownKeyError(f"There is no API key {key_id}: `feedback keys list` shows all.")
    return keys[key_id]


def revoke(client: Client, key: ApiKey) -> ApiKey:
    """Refuse a key in ClickHouse from now on; what is to be sent to Kafka then."""
    revoked = key.revoked(now())
    store(client, revoked)
    return revoked


def send(bootstrap: str, keys: Sequence[ApiKey]) -> None:
    """Tell the edges of keys by their topic. CommandError without Kafka."""
    kafka(bootstrap, publish(bootstrap, keys))

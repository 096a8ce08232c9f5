"""`feedback keys`: makes, lists, revokes and synchronizes API keys, and opens the server."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from operations.api_keys.arguments import expiry, key_id, name, now, rate, workspace
from operations.command_options import engines as add_engines
from operations.connections import CommandError, clickhouse, kafka, table
from runtime.times import to_the_minute
from schemas.api_keys import SCOPES, ApiKey, new_key

_ABOUT = (
    "The HTTP API is open until the first key exists; from then on every call needs one, until `open` says otherwise."
    " A key belongs to one workspace, has scopes, and is known to running edges within seconds. Only a hash of it is"
    " kept: whoever loses a key makes another one."
)
_MOST_NAMED = 5


def add_to(commands: Any) -> None:
    """Register the commands with the subparsers of `feedback`."""
    keys = commands.add_parser("keys", help="create, list and revoke API keys", description=_ABOUT)
    actions = keys.add_subparsers(title="actions", metavar="ACTION", required=True)

    create = actions.add_parser("create", help="make a key and print it, this once")
    add_engines(create, with_kafka=True)
    create.add_argument("--workspace", type=workspace, default="default", help="whose data it opens (%(default)s)")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=SCOPES,
        metavar="SCOPE",
        help=f"what it allows, once for each: {', '.join(SCOPES)} (admin allows all)",
    )
    create.add_argument("--name", type=name, default="", help="for whom or what it is, up to 200 characters")
    create.add_argument("--expires", type=expiry, metavar="WHEN", help="30d, 12h, or 2027-01-31T12:00Z (never)")
    create.add_argument(
        "--rate-limit",
        type=rate,
        default=0,
        metavar="N",
        help="events a second (as FEEDBACK_RATE_LIMIT_PER_S says)",
    )
    create.add_argument(
        "--read-rate-limit",
        type=rate,
        default=0,
        metavar="N",
        help="questions a second (as FEEDBACK_READ_RATE_LIMIT_PER_S says)",
    )
    create.set_defaults(run=_create)

    listing = actions.add_parser("list", help="all keys, without their secrets, and whether both places agree")
    add_engines(listing, with_kafka=True)
    listing.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", help="refuse a key from now on, for good")
    add_engines(revoke, with_kafka=True)
    revoke.add_argument(
        "key_id", type=key_id, metavar="KEY_ID", help="12 hex digits, as `feedback keys list` shows them"
    )
    revoke.set_defaults(run=_revoke)

    sync = actions.add_parser(
        "sync", aliases=["publish"], help="bring Kafka and ClickHouse to the same keys, after either was made anew"
    )
    add_engines(sync, with_kafka=True)
    sync.set_defaults(run=_sync)

    opening = actions.add_parser("open", help="let everybody in again, and revoke all keys")
    add_engines(opening, with_kafka=True)
    opening.add_argument("--yes", action="store_true", help="do it, and do not only say what it would do")
    opening.set_defaults(run=_open)


def _create(options: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import store

    secret, key = new_key(
        options.workspace,
        options.scope,
        now(),
        options.name,
        options.expires,
        options.rate_limit,
        options.read_rate_limit,
    )
    with clickhouse(options.clickhouse_url) as client:
        store(client, key)
    print(
        f"API key {key.key_id} for workspace {key.workspace}: {', '.join(key.scopes)}; {_expires(key)}.\n"
        "This is the key. It is shown this once and kept nowhere:\n\n"
        f"    {secret}\n",
        flush=True,
    )
    _send(options, [key], "it is stored, and no edge knows it yet: run `feedback keys sync` when Kafka is back")
    return 0


def _list(options: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import both, stored_keys

    with clickhouse(options.clickhouse_url) as client:
        stored = stored_keys(client)
    unknown = ""
    try:
        published = _published(options)
    except CommandError as error:
        published, unknown = stored, f"{error} So it is not known whether the edges have these keys."
    found = both(stored, published)
    _print(found.keys)
    for lacking, place, other in (
        (found.lacking_in_clickhouse, "ClickHouse", "Kafka"),
        (found.lacking_in_kafka, "Kafka", "ClickHouse"),
    ):
        if lacking:
            names = ", ".join(key.key_id for key in lacking[:_MOST_NAMED]) + " …" * (len(lacking) > _MOST_NAMED)
            unknown += f"{place} lacks what {other} has of {names}: run `feedback keys sync`. "
    if unknown:
        print(f"feedback: {unknown.strip()}", file=sys.stderr)
    return int(bool(found.lacking_in_clickhouse or found.lacking_in_kafka))


def _print(keys: Sequence[ApiKey]) -> None:
    at = now()
    rows = [
        [
            *(key.key_id, key.workspace, ",".join(key.scopes), _state(key, at)),
            *(key.rate_limit_per_s or "", key.read_rate_limit_per_s or "", _at(key.created_at), key.name),
        ]
        for key in keys
    ]
    if rows:
        for line in table(["key", "workspace", "scopes", "state", "events/s", "reads/s", "created", "name"], rows):
            print(line)
    if all(key.reopened_at for key in keys):
        why = "An operator has left these keys behind" if keys else "There are no API keys"
        print(
            f"{why}, so the HTTP API is open, but for FEEDBACK_REQUIRE_KEYS=true or keys that closed it and are lost."
        )


def _revoke(options: argparse.Namespace) -> int:
    from operations.api_keys.changes import find, revoke

    with clickhouse(options.clickhouse_url) as client:
        key = revoke(client, find(client, options.bootstrap, options.key_id))
    _send(options, [key], "it is revoked, and edges still take it: run `feedback keys sync` when Kafka is back")
    assert key.revoked_at is not None
    print(f"API key {key.key_id} is revoked since {_at(key.revoked_at)}; edges refuse it within seconds.")
    return 0


def _sync(options: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import make_same

    with clickhouse(options.clickhouse_url) as client:
        found = kafka(options.bootstrap, make_same(client, options.bootstrap))
    print(
        f"{len(found.keys)} API keys are in Kafka at {options.bootstrap} and in ClickHouse:"
        f" {len(found.lacking_in_kafka)} were brought up to date in Kafka,"
        f" {len(found.lacking_in_clickhouse)} in ClickHouse."
    )
    return 0


def _open(options: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import both, make_same, opened, store, stored_keys

    with clickhouse(options.clickhouse_url) as client:
        keys = both(stored_keys(client), _published(options)).keys
        last = len([key for key in keys if not key.revoked_at])
        if not options.yes:
            raise CommandError(
                f"This would open the HTTP API to whoever reaches it and revoke {last} API keys for good:"
                " give --yes if that is meant."
            )
        changed = opened(kafka(options.bootstrap, make_same(client, options.bootstrap)).keys, now())
        store(client, *changed)
    _send(options, changed, "edges stay closed: run `feedback keys sync` when Kafka is back")
    print(
        f"The HTTP API is open to whoever reaches it, and {last} API keys are revoked. The next key closes it again."
        " Processes with FEEDBACK_REQUIRE_KEYS=true stay closed."
    )
    return 0


def _published(options: argparse.Namespace) -> list[ApiKey]:
    from operations.api_keys.stored_keys import published_keys

    return kafka(options.bootstrap, published_keys(options.bootstrap))


def _send(options: argparse.Namespace, keys: Sequence[ApiKey], otherwise: str) -> None:
    from operations.api_keys.changes import send

    try:
        send(options.bootstrap, keys)
    except CommandError as error:
        raise CommandError(f"{error} As to the key: {otherwise}.") from error


def _state(key: ApiKey, now: datetime) -> str:
    if key.reopened_at:
        return f"left behind {_at(key.reopened_at)}"
    if key.revoked_at:
        return f"revoked {_at(key.revoked_at)}"
    if key.expires_at and key.expires_at <= now:
        return f"expired {_at(key.expires_at)}"
    return _expires(key)


def _expires(key: ApiKey) -> str:
    return f"expires {_at(key.expires_at)}" if key.expires_at else "never expires"


def _at(at: datetime) -> str:
    return to_the_minute(at)

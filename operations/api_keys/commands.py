"""`feedback keys`: makes, lists, revokes and synchronizes API keys, and opens the server."""

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from operations.api_keys.arguments import expiry, key_id, name, now, rate, workspace
from operations.command_options import add_engines
from operations.connections import CommandError, clickhouse, kafka, table
from runtime.times import to_the_minute
from schemas.key_scopes import SCOPES

if TYPE_CHECKING:
    from schemas.api_keys import ApiKey

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
    opening.set_defaults(run=_reopen)


def _create(args: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import store
    from schemas.api_keys import new_key

    secret, key = new_key(
        args.workspace,
        args.scope,
        now(),
        args.name,
        args.expires,
        args.rate_limit,
        args.read_rate_limit,
    )
    with clickhouse(args.clickhouse_url) as client:
        store(client, key)
    print(
        f"API key {key.key_id} for workspace {key.workspace}: {', '.join(key.scopes)}; {_expiry_text(key)}.\n"
        "This is the key. It is shown this once and kept nowhere:\n\n"
        f"    {secret}\n",
        flush=True,
    )
    _send(args, [key], "it is stored, and no edge knows it yet: run `feedback keys sync` when Kafka is back")
    return 0


def _list(args: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import stored_keys, union_of

    with clickhouse(args.clickhouse_url) as client:
        stored = stored_keys(client)
    unknown = ""
    try:
        published = _read_published(args)
    except CommandError as error:
        published, unknown = stored, f"{error} So it is not known whether the edges have these keys."
    found = union_of(stored, published)
    _print_keys(found.keys)
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


def _print_keys(keys: Sequence["ApiKey"]) -> None:
    at = now()
    rows = [
        [
            *(key.key_id, key.workspace, ",".join(key.scopes), _state_text(key, at)),
            *(key.rate_limit_per_s or "", key.read_rate_limit_per_s or "", _time_text(key.created_at), key.name),
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


def _revoke(args: argparse.Namespace) -> int:
    from operations.api_keys.changes import find, revoke

    with clickhouse(args.clickhouse_url) as client:
        key = revoke(client, find(client, args.bootstrap, args.key_id))
    _send(args, [key], "it is revoked, and edges still take it: run `feedback keys sync` when Kafka is back")
    assert key.revoked_at is not None
    print(f"API key {key.key_id} is revoked since {_time_text(key.revoked_at)}; edges refuse it within seconds.")
    return 0


def _sync(args: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import synchronize

    with clickhouse(args.clickhouse_url) as client:
        found = kafka(args.bootstrap, synchronize(client, args.bootstrap))
    print(
        f"{len(found.keys)} API keys are in Kafka at {args.bootstrap} and in ClickHouse:"
        f" {len(found.lacking_in_kafka)} were brought up to date in Kafka,"
        f" {len(found.lacking_in_clickhouse)} in ClickHouse."
    )
    return 0


def _reopen(args: argparse.Namespace) -> int:
    from operations.api_keys.stored_keys import reopening_records, store, stored_keys, synchronize, union_of

    with clickhouse(args.clickhouse_url) as client:
        keys = union_of(stored_keys(client), _read_published(args)).keys
        last = len([key for key in keys if not key.revoked_at])
        if not args.yes:
            raise CommandError(
                f"This would open the HTTP API to whoever reaches it and revoke {last} API keys for good:"
                " give --yes if that is meant."
            )
        changed = reopening_records(kafka(args.bootstrap, synchronize(client, args.bootstrap)).keys, now())
        store(client, *changed)
    _send(args, changed, "edges stay closed: run `feedback keys sync` when Kafka is back")
    print(
        f"The HTTP API is open to whoever reaches it, and {last} API keys are revoked. The next key closes it again."
        " Processes with FEEDBACK_REQUIRE_KEYS=true stay closed."
    )
    return 0


def _read_published(args: argparse.Namespace) -> list["ApiKey"]:
    from operations.api_keys.stored_keys import published_keys

    return kafka(args.bootstrap, published_keys(args.bootstrap))


def _send(args: argparse.Namespace, keys: Sequence["ApiKey"], otherwise: str) -> None:
    from operations.api_keys.changes import send

    try:
        send(args.bootstrap, keys)
    except CommandError as error:
        raise CommandError(f"{error} As to the key: {otherwise}.") from error


def _state_text(key: "ApiKey", now: datetime) -> str:
    if key.reopened_at:
        return f"left behind {_time_text(key.reopened_at)}"
    if key.revoked_at:
        return f"revoked {_time_text(key.revoked_at)}"
    if key.expires_at and key.expires_at <= now:
        return f"expired {_time_text(key.expires_at)}"
    return _expiry_text(key)


def _expiry_text(key: "ApiKey") -> str:
    return f"expires {_time_text(key.expires_at)}" if key.expires_at else "never expires"


def _time_text(at: datetime) -> str:
    return to_the_minute(at)

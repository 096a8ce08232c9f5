"""`feedback keys`: create, list, revoke and publish API keys. What each takes, and how its result is printed."""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from deploy.command_options import engines as add_engines
from deploy.engines import CommandError, clickhouse, kafka, table
from schemas.events import WORKSPACE_PATTERN
from schemas.keys import SCOPES, ApiKey, new_key

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_ABOUT = (
    "The HTTP API is open until the first key exists; from then on every call needs one. A key belongs to one"
    " workspace, has scopes, and is known to running edges within seconds. Only a hash of it is kept: whoever loses a"
    " key makes another one."
)
_MOST_YEARS = 100


def add_to(commands: Any) -> None:
    """Register the commands with the subparsers of `feedback`."""
    keys = commands.add_parser("keys", help="create, list, revoke and publish API keys", description=_ABOUT)
    actions = keys.add_subparsers(title="actions", metavar="ACTION", required=True)

    create = actions.add_parser("create", help="make a key and print it, this once")
    add_engines(create, with_kafka=True)
    create.add_argument("--workspace", type=_workspace, default="default", help="whose data it opens (%(default)s)")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=SCOPES,
        metavar="SCOPE",
        help=f"what it allows, once for each: {', '.join(SCOPES)} (admin allows all)",
    )
    create.add_argument("--name", type=_name, default="", help="for whom or what it is, up to 200 characters")
    create.add_argument("--expires", type=_expiry, metavar="WHEN", help="30d, 12h, or 2027-01-31T12:00Z (never)")
    create.add_argument(
        "--rate-limit", type=_rate, default=0, metavar="N", help="events a second (as FEEDBACK_RATE_LIMIT_PER_S says)"
    )
    create.set_defaults(run=_create)

    listing = actions.add_parser("list", help="all keys, without their secrets")
    add_engines(listing)
    listing.set_defaults(run=_list)

    revoke = actions.add_parser("revoke", help="refuse a key from now on, for good")
    add_engines(revoke, with_kafka=True)
    revoke.add_argument(
        "key_id", type=_key_id, metavar="KEY_ID", help="12 hex digits, as `feedback keys list` shows them"
    )
    revoke.set_defaults(run=_revoke)

    publish = actions.add_parser("publish", help="send all keys to Kafka again, after its topics were made anew")
    add_engines(publish, with_kafka=True)
    publish.set_defaults(run=_publish)


def _create(options: argparse.Namespace) -> int:
    from deploy.api_keys import store

    now = _now()
    secret, key = new_key(options.workspace, options.scope, now, options.name, options.expires, options.rate_limit)
    with clickhouse(options.clickhouse_url) as client:
        store(client, key)
    print(
        f"API key {key.key_id} for workspace {key.workspace}: {', '.join(key.scopes)}; {_expires(key)}.\n"
        "This is the key. It is shown this once and kept nowhere:\n\n"
        f"    {secret}\n",
        flush=True,
    )
    _send(options, [key], "it is stored, and no edge knows it yet: run `feedback keys publish` when Kafka is back")
    return 0


def _list(options: argparse.Namespace) -> int:
    with clickhouse(options.clickhouse_url) as client:
        keys = _stored(client)
    if not keys:
        print("There are no API keys, so the HTTP API is open unless FEEDBACK_REQUIRE_KEYS=true.")
        return 0
    now = _now()
    rows = [
        [k.key_id, k.workspace, ",".join(k.scopes), _state(k, now), k.rate_limit_per_s or "", _at(k.created_at), k.name]
        for k in keys
    ]
    for line in table(["key", "workspace", "scopes", "state", "limit", "created", "name"], rows):
        print(line)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    from deploy.api_keys import revoke

    with clickhouse(options.clickhouse_url) as client:
        key = revoke(client, options.key_id, _now())
    _send(options, [key], "it is revoked, and edges still take it: run `feedback keys publish` when Kafka is back")
    assert key.revoked_at is not None
    print(f"API key {key.key_id} is revoked since {_at(key.revoked_at)}; edges refuse it within seconds.")
    return 0


def _publish(options: argparse.Namespace) -> int:
    with clickhouse(options.clickhouse_url) as client:
        keys = _stored(client)
    _send(options, keys, "nothing is lost: run it again when Kafka is back")
    print(f"{len(keys)} API keys are in Kafka at {options.bootstrap}.")
    return 0


def _stored(client: "Client") -> list[ApiKey]:
    from deploy.api_keys import stored_keys

    return stored_keys(client)


def _send(options: argparse.Namespace, keys: Sequence[ApiKey], otherwise: str) -> None:
    from deploy.api_keys import publish

    try:
        kafka(options.bootstrap, publish(options.bootstrap, keys))
    except CommandError as error:
        raise CommandError(f"{error} As to the key: {otherwise}.") from error


def _now() -> datetime:
    # To the millisecond, as ClickHouse keeps it: the two copies of a key are equal.
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at:
        return f"revoked {_at(key.revoked_at)}"
    if key.expires_at and key.expires_at <= now:
        return f"expired {_at(key.expires_at)}"
    return _expires(key)


def _expires(key: ApiKey) -> str:
    return f"expires {_at(key.expires_at)}" if key.expires_at else "never expires"


def _at(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def _workspace(text: str) -> str:
    if not re.fullmatch(WORKSPACE_PATTERN, text) or text.endswith("\n"):
        raise argparse.ArgumentTypeError(f"{text!r} is no workspace: give 1 to 64 letters, digits, _ and -")
    return text


def _key_id(text: str) -> str:
    # Not quoted: whoever pastes a key instead of its id does not want to see it in a log.
    if not re.fullmatch(r"[0-9a-f]{12}", text):
        raise argparse.ArgumentTypeError("that is no key id: give the 12 hex digits that `feedback keys list` shows")
    return text


def _name(text: str) -> str:
    if len(text) > 200 or not text.isprintable():
        raise argparse.ArgumentTypeError("a name has at most 200 characters, all of them printable")
    return text


def _rate(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no limit: give events a second, 1 to 10000000")
    return int(text)


def _expiry(text: str) -> datetime:
    now = _now()
    match = re.fullmatch(r"(\d{1,6})([dh])", text)
    try:
        if match:
            count = int(match[1])
            at = now + (timedelta(days=count) if match[2] == "d" else timedelta(hours=count))
        else:
            at = datetime.fromisoformat(text)
            at = at if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give 30d, 12h, or as in 2027-01-31T12:00Z") from None
    if not now < at < now + timedelta(days=366 * _MOST_YEARS):
        raise argparse.ArgumentTypeError(f"{text!r} is not between now and {_MOST_YEARS} years from now")
    return at

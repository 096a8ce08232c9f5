"""`feedback erase`: removes the rows of a person everywhere, and prints how many went from each table."""

import argparse
from typing import Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse, kafka, table

_ABOUT = (
    "Deletes the person's feedback through the workers, which must run, then removes their rows from every table and"
    " leaves tombstones on the compacted topics. This cannot be undone. Exits with 1 if a row is left."
)

_GONE = (
    "Nothing is left in ClickHouse. Records in Kafka's input topics stay until their retention ends, 7 days after they"
    " were accepted, and dead letters on feedback.dead.v1 for 30."
)


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    erase = commands.add_parser("erase", help="remove a person's rows everywhere", description=_ABOUT)
    options.add_engines(erase, with_kafka=True)
    erase.add_argument("--user", required=True, metavar="U", help="the person, as `_user` names them")
    erase.add_argument("--workspace", default="default", help="whose data (%(default)s)")
    options.add_group(erase)
    erase.add_argument("--dry-run", action="store_true", help="only say how many rows would go from each table")
    erase.set_defaults(run=_erase)


def _erase(args: argparse.Namespace) -> int:
    from operations.erase.conditions import subject_of
    from operations.erase.erasure import erase, would_erase
    from operations.erase.events import unread_records
    from operations.progress import Progress

    if not args.user:
        raise CommandError("Name the person: --user must not be empty.")
    them = subject_of(args.workspace, args.user)
    if args.dry_run:
        found = would_erase(args.clickhouse_url, them)
        said = "Nothing was changed: without --dry-run these rows go." if any(found.values()) else _nothing(args)
        for line in table(["table", "rows"], [[name, rows] for name, rows in found.items()]):
            print(line)
        print(said)
        if unread := kafka(args.bootstrap, unread_records(args.bootstrap, args.group)):
            print(f"The workers have not read {unread:,} records yet, which may name the user too.")
        return 0
    before, after = erase(args.clickhouse_url, args.bootstrap, args.group, them, progress=Progress())
    left = sum(after.values())
    said = f"{left} rows are left: erase again." if left else _GONE if any(before.values()) else _nothing(args)
    for line in table(["table", "before", "after"], [[name, before[name], after[name]] for name in before]):
        print(line)
    print(said)
    return 1 if left else 0


def _nothing(args: argparse.Namespace) -> str:
    from operations import workspaces

    with clickhouse(args.clickhouse_url) as client:
        workspaces.require(client, args.workspace)
    return f"Nothing names the user {args.user!r} in the workspace {args.workspace!r}: are both spelt right?"

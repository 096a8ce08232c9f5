"""`feedback migrate`: brings the tables to a version, and asks before it undoes a migration."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from operations import command_options as options
from runtime.addresses import without_password

if TYPE_CHECKING:
    from operations.migrate import Step


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    migrate = commands.add_parser("migrate", help="create or change the tables in ClickHouse")
    migrate.add_argument(
        "--to", type=options.number(0, 9999), metavar="N", help="the version to go to, up or down (the newest)"
    )
    options.add_engines(migrate, with_kafka=True)
    options.add_group(migrate)
    options.add_yes(migrate)
    migrate.add_argument(
        "--without-kafka",
        action="store_true",
        help="going down, do not ask Kafka whether workers are stopped",
    )
    migrate.set_defaults(run=_migrate)


def _migrate(args: argparse.Namespace) -> int:
    from operations.migrate import migrate, planned
    from operations.retention import apply_settings, apply_settings_to_any_version

    # Only a version to go to can lead downwards.
    undone = [] if args.to is None else [step for step in planned(args.clickhouse_url, args.to) if step.undo]
    if undone and not _may_undo(args, undone):
        print("Nothing was changed.")
        return 1
    steps = migrate(args.clickhouse_url, args.to)
    # A migration may write a table anew, without its time to live.
    apply = apply_settings if args.to is None else apply_settings_to_any_version
    changed = apply(args.clickhouse_url, os.environ)
    for line in (*steps, *changed):
        print(line)
    if not steps and not changed:
        print(f"ClickHouse at {without_password(args.clickhouse_url)} is already there: nothing to do.")
    return 0


def _may_undo(args: argparse.Namespace, undone: "list[Step]") -> bool:
    """Print what undoing these removes, refuse while programs may write, and ask."""
    from contextlib import closing

    from operations.connections import as_command_errors, connect
    from operations.consumer_groups import refuse_members
    from operations.migrate import removed

    # Tables of any version: an earlier way down may have ended half-way.
    with closing(connect(args.clickhouse_url)) as client, as_command_errors(args.clickhouse_url):
        for step in undone:
            print(f"would undo {step.name}: {'; '.join(removed(client, step)) or 'removes no rows'}")
    if not args.without_kafka:
        refuse_members(args.bootstrap, args.group, options.rollup_group())
    return options.confirm(args, "What is removed cannot be brought back but from a backup. Undo all of it?")

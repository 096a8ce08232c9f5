"""`feedback orphans`: prints the feedback that no request has joined, by age."""

import argparse
from typing import Any

from operations import command_options as options
from operations.connections import clickhouse, table


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    orphans = commands.add_parser("orphans", help="feedback that no request has joined, by age")
    options.add_engines(orphans)
    orphans.add_argument("--workspace", default="default", help="whose feedback (%(default)s)")
    orphans.set_defaults(run=_orphans)


def _orphans(args: argparse.Namespace) -> int:
    from operations import workspaces
    from operations.orphans import COLUMNS, orphan_counts

    with clickhouse(args.clickhouse_url) as client:
        workspaces.require(client, args.workspace)
        rows = orphan_counts(client, args.workspace)
    if not rows:
        print("Every feedback has been joined.")
        return 0
    for line in table(COLUMNS, rows):
        print(line)
    return 0

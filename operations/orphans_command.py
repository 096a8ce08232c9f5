"""`feedback orphans`: prints the feedback that no request has joined, by age."""

import argparse
from typing import Any

from operations import command_options as options
from operations.connections import clickhouse, table


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    orphans = commands.add_parser("orphans", help="feedback that no request has joined, by age")
    options.engines(orphans)
    orphans.add_argument("--workspace", default="default", help="whose feedback (%(default)s)")
    orphans.set_defaults(run=_orphans)


def _orphans(given: argparse.Namespace) -> int:
    from operations import workspaces
    from operations.orphans import COLUMNS, report

    with clickhouse(given.clickhouse_url) as client:
        workspaces.require(client, given.workspace)
        rows = report(client, given.workspace)
    if not rows:
        print("Every feedback has been joined.")
        return 0
    for line in table(COLUMNS, rows):
        print(line)
    return 0

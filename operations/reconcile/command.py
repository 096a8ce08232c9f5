"""`feedback reconcile`: recomputes all rows from the journal, prints the differences, and repairs them if asked to."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse

if TYPE_CHECKING:
    from operations.reconcile.differences import RowDifference

_ABOUT = (
    "Computes all rows, aggregates and rollups from the journal again, and compares them with the stored ones. Exits"
    " with 1 if they differ, or with --repair if they still differ afterwards. Workers may run meanwhile: a difference"
    " counts only if it is the same --settle seconds later. A trace or an hour that changes all the time cannot be"
    " compared: compare it later, or stop what sends."
)
_JOURNAL_LACKS = (
    "What the journal does not account for is left alone, and whatever rests on it: the journal may have lost"
    " something. `feedback audit` says which records are nowhere; `feedback replay` brings back those that Kafka still"
    " has."
)


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    reconcile = commands.add_parser(
        "reconcile", help="compute everything again from the journal, and compare", description=_ABOUT
    )
    options.add_engines(reconcile)
    reconcile.add_argument("--workspace", help="whose feedback (all)")
    reconcile.add_argument(
        "--since", type=options.time, metavar="TIME", help="created since, as 2026-01-31T12:00Z (ever)"
    )
    reconcile.add_argument("--until", type=options.time, metavar="TIME", help="created before (now)")
    reconcile.add_argument(
        "--settle",
        type=options.seconds,
        default=3,
        metavar="S",
        help="seconds after which what differs is looked at again (3)",
    )
    reconcile.add_argument("--repair", action="store_true", help="write what is missing or wrong")
    reconcile.add_argument(
        "--remove", action="store_true", help="with --repair, believe the journal also where it may have lost something"
    )
    reconcile.set_defaults(run=_reconcile)


def _reconcile(args: argparse.Namespace) -> int:
    from operations import workspaces
    from operations.check_results import result_of, store_result
    from operations.progress import Progress
    from operations.reconcile.differences import Scope
    from operations.reconcile.reconcile import reconcile

    if args.remove and not args.repair:
        raise CommandError("--remove goes with --repair.")
    if args.since and args.until and args.since >= args.until:
        raise CommandError("--since must be before --until: nothing lies between them.")
    start, end = Scope().since, Scope().until
    scope = Scope(
        args.workspace,
        int(args.since.timestamp()) // 3600 * 3600 if args.since else start,
        -(-int(args.until.timestamp()) // 3600) * 3600 if args.until else end,
    )
    began = datetime.now(UTC)
    with clickhouse(args.clickhouse_url) as client:
        if args.workspace is not None:
            workspaces.require(client, args.workspace)
        compare = partial(reconcile, args.clickhouse_url, scope, settle_s=args.settle, progress=Progress())
        found = compare(repair=args.repair, remove=args.remove)
        for each in found:
            print(each)
        if found and args.repair:
            print("Repaired; comparing again.")
            found = compare(repair=False)
            for each in found:
                print(each)
        kinds = {each.what: each.number for each in found}
        is_whole = scope.workspace is None and scope.is_all_time
        store_result(client, "reconcile", result_of(began, kinds, is_whole=is_whole, is_repaired=args.repair))
    print(_what_to_do(args, found) if found else "Nothing differs.")
    return 1 if found else 0


def _what_to_do(args: argparse.Namespace, found: Sequence["RowDifference"]) -> str:
    from operations.reconcile.verdict import UNKNOWN

    lacks = any(UNKNOWN in each.what for each in found)
    if not args.repair:
        advice = "There are differences: --repair puts right what is missing or wrong."
        return f"{advice} {_JOURNAL_LACKS}" if lacks else advice
    if lacks and not args.remove:
        return f"{_JOURNAL_LACKS} If the journal is right all the same, add --remove: it is then believed."
    return "These differences remain: see what the logs of ClickHouse and of the workers say."

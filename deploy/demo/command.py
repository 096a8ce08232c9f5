"""`feedback demo`: fills a workspace with a made-up week, and removes it again."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse

if TYPE_CHECKING:
    from operations.produce import OutgoingRecord
    from operations.progress import Progress

_ABOUT = (
    "Fills a workspace with a made-up week of requests and feedback, through Kafka and the workers, which must run, as"
    " if an app had sent them. With --remove takes all of it away: whatever stands on its traces, which are called"
    " demo-SEED-NUMBER-CHECK, and nothing else."
)
# Long, because the rollups of a week are committed together.
_PATIENCE_S = 600
_LEAST_REQUESTS, _MOST_REQUESTS = 10, 100_000
_USUAL_REQUESTS, _USUAL_SEED = 6000, 1


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    demo = commands.add_parser("demo", help="fill a workspace with a week to look at", description=_ABOUT)
    options.add_engines(demo, with_kafka=True)
    options.add_group(demo)
    demo.add_argument("--workspace", default="default", help="which is filled (%(default)s)")
    demo.add_argument(
        "--requests",
        type=options.number(_LEAST_REQUESTS, _MOST_REQUESTS),
        metavar="N",
        help=f"how many requests; feedback is about half as much ({_USUAL_REQUESTS})",
    )
    demo.add_argument(
        "--seed",
        type=options.number(0, 2**31),
        metavar="N",
        help=f"another number, another week ({_USUAL_SEED})",
    )
    demo.add_argument("--remove", action="store_true", help="take the demo away, whatever its seed")
    demo.set_defaults(run=_demo)


def _demo(args: argparse.Namespace) -> int:
    from operations import workspaces
    from operations.consumer_groups import require_members

    if args.remove and (args.seed, args.requests) != (None, None):
        raise CommandError(
            "--remove takes away the demo that is there, whatever its --seed and --requests: leave them out."
        )
    args.seed = _USUAL_SEED if args.seed is None else args.seed
    args.requests = args.requests or _USUAL_REQUESTS
    with clickhouse(args.clickhouse_url) as client:
        workspaces.require(client, args.workspace)
    require_members(args.bootstrap, args.group, options.rollup_group())
    return _remove(args) if args.remove else _fill(args)


def _fill(args: argparse.Namespace) -> int:
    from deploy.demo.removal import is_there
    from operations.connections import kafka
    from operations.produce import send
    from operations.progress import Progress

    elsewhere = "" if args.workspace == "default" else f" --workspace {args.workspace}"
    how_to_remove = f"`feedback demo --remove{elsewhere}`"
    progress = Progress()
    # An interrupted run may have left events that no worker has stored yet.
    _wait(args, progress)
    with clickhouse(args.clickhouse_url) as client:
        if is_there(client, args.workspace):
            raise CommandError(
                f"There is a demo in the workspace {args.workspace!r} already. To have another, take it away first:"
                f" {how_to_remove}."
            )
    records, feedback, address = _made(args)
    kafka(args.bootstrap, send(args.bootstrap, records, "events sent", progress))
    _wait(args, progress)
    print(f"{args.requests:,} requests and {feedback:,} feedbacks of a week are in the workspace {args.workspace!r}.")
    print(f"Look at {address}/ and take them away with {how_to_remove}.")
    return 0


def _made(args: argparse.Namespace) -> "tuple[list[OutgoingRecord], int, str]":
    """The events of the week, the number of feedbacks, and the address of the API."""
    from deploy.demo.events import records_of
    from deploy.demo.week import week
    from ingest_api.settings import Settings
    from query_api.settings import QuerySettings
    from runtime.http_errors import ApiError
    from runtime.settings_errors import SettingsError, load
    from runtime.up_addresses import api_address

    try:
        limits, queries = load(Settings).limits, load(QuerySettings)
    except SettingsError as fault:
        raise CommandError(str(fault)) from None
    is_set = {"public_url", "host", "port"} & queries.model_fields_set
    address = queries.address if is_set else api_address(queries.address)
    calls = week(args.seed, args.requests, datetime.now(UTC))
    try:
        records = records_of(calls, args.workspace, limits)
    except ApiError as refusal:
        raise CommandError(f"With these settings the API would refuse the demo: {refusal.message}.") from None
    return records, sum(call.kind == "create" for call in calls), address


def _remove(args: argparse.Namespace) -> int:
    from deploy.demo.removal import demo_in
    from operations.connections import table
    from operations.erase.erasure import erase
    from operations.progress import Progress

    progress = Progress()
    _wait(args, progress)
    before, after = erase(args.clickhouse_url, args.bootstrap, args.group, demo_in(args.workspace), progress=progress)
    if not any(before.values()):
        print(f"There is no demo in the workspace {args.workspace!r}.")
        return 0
    _wait(args, progress)
    for line in table(["table", "before", "after"], [[name, before[name], after[name]] for name in before]):
        print(line)
    left = sum(after.values())
    print(f"{left} rows are left: remove it again." if left else "The demo is gone.")
    return 1 if left else 0


def _wait(args: argparse.Namespace, progress: "Progress") -> None:
    """Return when workers have stored all events, and the rollups are computed."""
    from operations.connections import kafka
    from operations.erase.events import wait_until_committed
    from schemas.topics import INPUTS, ROLLUP_INVALIDATIONS

    for group, topics in ((args.group, INPUTS), (options.rollup_group(), (ROLLUP_INVALIDATIONS,))):
        kafka(args.bootstrap, wait_until_committed(args.bootstrap, group, _PATIENCE_S, progress, topics))

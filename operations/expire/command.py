"""`feedback expire`: removes traces that are due, once or at intervals."""

import argparse
import os
import sys
import time
from typing import Any

from operations import command_options as options
from operations.connections import CommandError

_EXPIRE = (
    "Removes every trace on which nothing has happened for FEEDBACK_KEEP_TRACES_DAYS days, with its feedback, requests,"
    " numbers and journal. Rollups stay. The workers must run. `feedback up` runs this once a day."
)
_LONGEST_PAUSE_S = 31 * 86_400


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    expire = commands.add_parser("expire", help="remove traces that are due", description=_EXPIRE)
    options.add_engines(expire, with_kafka=True)
    options.add_group(expire)
    options.add_offset_base(expire)
    how = expire.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say how many traces are due")
    how.add_argument(
        "--every", type=options.number(1, _LONGEST_PAUSE_S), metavar="S", help="go on for ever, every so many seconds"
    )
    expire.set_defaults(run=_expire)


def _expire(args: argparse.Namespace) -> int:
    from operations.expire.expiry import ExpiryTarget, count_due_traces, expire
    from operations.progress import Progress
    from operations.retention import days_of_traces, require_valid

    require_valid(os.environ)
    days = days_of_traces(os.environ)
    target = ExpiryTarget(args.clickhouse_url, args.bootstrap, args.group, args.offset_base)
    why = "" if days is not None else ": FEEDBACK_KEEP_TRACES_DAYS is not set, so they are kept for ever"
    if args.dry_run:
        print(f"{0 if days is None else count_due_traces(target, _days_ago(days)):,} traces are due{why}.")
        return 0
    while True:
        try:
            found = expire(target, None if days is None else _days_ago(days), Progress())
            print(f"{found:,} traces were due{why}.", flush=True)
        except CommandError as error:
            if args.every is None:
                raise
            # The next pass tries again; until then traces are only kept longer.
            print(f"feedback: {error}", file=sys.stderr, flush=True)
        if args.every is None:
            return 0
        time.sleep(args.every)


def _days_ago(days: int) -> int:
    """The Unix seconds of that time; 0 where it is before 1970."""
    return max(0, int(time.time()) - days * 86_400)

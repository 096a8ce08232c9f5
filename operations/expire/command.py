"""`feedback expire`: removes traces that are due, once or at intervals."""

import argparse
import os
import sys
import time
from typing import Any

from operations import command_options as options
from operations.connections import CommandError

_EXPIRE = (
    "Removes every trace on which nothing has happened for FEEDBACK_KEEP_TRACES_DAYS days, whole: its feedback,"
    " requests, numbers and journal. Hours and days stay. The workers must run. `feedback up` does this by itself."
)


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    expire = commands.add_parser("expire", help="remove traces that are due", description=_EXPIRE)
    options.engines(expire, with_kafka=True)
    options.group(expire)
    options.offset_base(expire)
    how = expire.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say how many traces are due")
    how.add_argument("--every", type=options.whole, metavar="S", help="go on for ever, every so many seconds")
    expire.set_defaults(run=_expire)


def _expire(given: argparse.Namespace) -> int:
    from operations.expire.expiry import ExpiryTarget, due, expire
    from operations.progress import Progress
    from operations.retention import days_of_traces, require_valid

    require_valid(os.environ)
    days = days_of_traces(os.environ)
    target = ExpiryTarget(given.clickhouse_url, given.bootstrap, given.group, given.offset_base)
    why = "" if days is not None else ": FEEDBACK_KEEP_TRACES_DAYS is not set, so they are kept for ever"
    if given.dry_run:
        print(f"{0 if days is None else due(target, _days_ago(days)):,} traces are due{why}.")
        return 0
    while True:
        try:
            found = expire(target, None if days is None else _days_ago(days), Progress())
            print(f"{found:,} traces were due{why}.", flush=True)
        except CommandError as error:
            if given.every is None:
                raise
            # The next pass tries again; until then traces are only kept longer.
            print(f"feedback: {error}", file=sys.stderr, flush=True)
        if given.every is None:
            return 0
        time.sleep(given.every)


def _days_ago(days: int) -> int:
    """The Unix seconds of that time."""
    return int(time.time()) - days * 86_400

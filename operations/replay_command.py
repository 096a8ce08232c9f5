"""`feedback replay`: makes the workers read records again, from a time or an offset on."""

import argparse
from typing import Any

from operations import command_options as options
from operations.connections import CommandError, table
from schemas.topics import INPUTS

_ABOUT = (
    "Sets the workers' group back, so that the workers read and store records again. Rows that are right do not change,"
    " and rows that ClickHouse has lost come back, as long as Kafka has their records. Stop the workers first. The"
    " command shows what would be read, and asks. It never skips a record."
)


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    replay = commands.add_parser("replay", help="have the workers read records again", description=_ABOUT)
    options.add_kafka(replay)
    since = replay.add_mutually_exclusive_group(required=True)
    since.add_argument("--from-time", type=options.time, metavar="TIME", help="accepted since, as 2026-01-31T12:00Z")
    since.add_argument(
        "--from-offset", type=options.whole, metavar="N", help="from this offset on, of --topic and --partition"
    )
    replay.add_argument("--topic", choices=INPUTS, help=f"{' or '.join(INPUTS)} (both)")
    replay.add_argument("--partition", type=_partition, metavar="N", help="its number, or all (all, with --from-time)")
    options.add_group(replay)
    replay.add_argument("--dry-run", action="store_true", help="only show what would be read again")
    options.add_yes(replay)
    replay.set_defaults(run=_replay)


def _replay(args: argparse.Namespace) -> int:
    from operations.consumer_groups import refuse_members
    from operations.replay import ReplayRequest, set_back, steps_back

    if args.from_offset is not None and (args.partition is None or args.topic is None):
        raise CommandError("--from-offset goes with --topic and --partition: offsets count within one partition.")
    since = args.from_offset if args.from_time is None else args.from_time
    topics = (args.topic,) if args.topic else INPUTS
    partition = None if args.partition in (None, "all") else args.partition
    steps, deleted_records = steps_back(args.bootstrap, args.group, ReplayRequest(since, topics, partition))
    for (topic, number), count in sorted(deleted_records.items()):
        print(f"{topic}/{number}: {count} records from there on are gone from Kafka, so it begins at the first it has")
    if not steps:
        print(f"Nothing to read again: the group {args.group} has not read anything from there on.")
        return 0
    rows: list[list[Any]] = [[s.topic, str(s.partition), s.committed, s.target, s.records] for s in steps]
    total = sum(s.records for s in steps)
    rows.append(["all", "", "", "", total])
    for line in table(["topic", "partition", "committed", "from offset", "records"], rows):
        print(line)
    if args.dry_run:
        print("This was a dry run: nothing was changed.")
        return 0
    refuse_members(args.bootstrap, args.group)
    if not options.confirm(args, f"Have the workers read {total:,} records again?"):
        print("Nothing was changed.")
        return 1
    set_back(args.bootstrap, args.group, steps)
    print(
        f"The group {args.group} is set back. Start the workers: they read {total:,} records again. What was erased is"
        " stored again by this: `feedback audit` counts it, and the same `feedback erase` removes it."
    )
    return 0


def _partition(text: str) -> int | str:
    return text if text == "all" else options.number(0, 65_535)(text)

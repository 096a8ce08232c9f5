"""`feedback dead`: lists, shows and redrives dead letters."""

import argparse
from datetime import datetime
from typing import Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse, table
from schemas.topics import INPUTS

_WHY_LEFT = {
    "no_value": "it has no value, so there is nothing to send",
    "sent_before": "it was sent through before; --again sends it once more",
    "changed_since": "feedback {feedback} has changed since; --force undoes that",
}


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    dead = commands.add_parser("dead", help="list, show and redrive dead letters")
    actions = dead.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the letters by reason, and the latest of them")
    options.add_engines(listing)
    _add_filter(listing)
    listing.add_argument(
        "--limit", type=options.number(1, 100_000), default=20, metavar="N", help="how many letters (%(default)s)"
    )
    listing.set_defaults(run=_dead_list)
    show = actions.add_parser("show", help="all of one letter, and what to do about it")
    options.add_engines(show)
    show.add_argument("place", type=options.place, metavar="TOPIC/PARTITION/SEQUENCE")
    show.set_defaults(run=_dead_show)
    redrive = actions.add_parser("redrive", help="send letters through again")
    options.add_engines(redrive, with_kafka=True)
    options.add_group(redrive)
    options.add_offset_base(redrive)
    redrive.add_argument("places", type=options.place, nargs="*", metavar="TOPIC/PARTITION/SEQUENCE")
    _add_filter(redrive)
    redrive.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    redrive.add_argument("--again", action="store_true", help="also those that were sent through before")
    redrive.add_argument("--force", action="store_true", help="also changes of feedback that has changed since")
    redrive.set_defaults(run=_dead_redrive)


def _dead_list(args: argparse.Namespace) -> int:
    from operations.dead_letters.letters import Filter, letters, reasons, require_reason

    wanted = Filter(args.reason, args.topic, args.since)
    with clickhouse(args.clickhouse_url) as client:
        require_reason(client, args.reason)
        summary, latest = reasons(client, wanted), letters(client, wanted, args.limit)
    if not summary:
        print("There are no dead letters." if wanted == Filter() else "No dead letter matches.")
        return 0
    for line in table(
        ["reason", "topic", "letters", "first", "last"], [[*r[:3], _time_text(r[3]), _time_text(r[4])] for r in summary]
    ):
        print(line)
    print()
    listed = [
        [each.place, _time_text(each.recorded_at), each.reason, _redriven_text(each), each.detail] for each in latest
    ]
    for line in table(["place", "time", "reason", "redriven", "detail"], listed):
        print(line)
    print("\n`feedback dead show PLACE` shows one, `feedback dead redrive PLACE` sends it through again.")
    return 0


def _dead_show(args: argparse.Namespace) -> int:
    from operations.dead_letters.letters import WHAT_TO_DO, Filter, letters

    with clickhouse(args.clickhouse_url) as client:
        found = letters(client, Filter(place=args.place), 1)
    if not found:
        raise CommandError(f"There is no dead letter at {'/'.join(map(str, args.place))}.")
    letter = found[0]
    print(f"place      {letter.place} (offset {letter.offset})")
    print(f"time       {_time_text(letter.recorded_at)}")
    print(f"reason     {letter.reason}: {letter.detail}")
    print(f"what to do {WHAT_TO_DO.get(letter.reason, 'Mend the cause, then redrive it.')}")
    print(f"redriven   {_redriven_text(letter)}")
    print(f"feedback   {letter.feedback_id or 'its bytes name none'}")
    print(f"key        {letter.key.decode(errors='backslashreplace')}")
    print(f"value      {letter.value.decode(errors='backslashreplace')}")
    return 0


def _dead_redrive(args: argparse.Namespace) -> int:
    from operations.dead_letters.letters import Filter, letters, redrive, require_reason
    from operations.dead_letters.selection import WorkerGroup, select

    by_filter = Filter(args.reason, args.topic, args.since)
    if args.places and by_filter != Filter():
        raise CommandError("Give the places of letters, or --reason, --topic and --since, and not both.")
    if not args.places and by_filter == Filter():
        raise CommandError("Say which letters: their places, or --reason, --topic or --since.")
    with clickhouse(args.clickhouse_url) as client:
        require_reason(client, args.reason)
        wanted = [Filter(place=place) for place in args.places] or [by_filter]
        found = [letter for each in wanted for letter in letters(client, each, 1_000_000)]
        missing = [each for each in args.places if each not in {(x.topic, x.partition, x.sequence) for x in found}]
        if missing:
            raise CommandError(f"There is no dead letter at {'/'.join(map(str, missing[0]))}; nothing was sent.")
        workers = WorkerGroup(args.bootstrap, args.group, args.offset_base)
        selected, skipped = select(client, workers, found, again=args.again, force=args.force)
        for letter, why, feedback in skipped:
            print(f"left {letter.place}: {_WHY_LEFT[why].format(feedback=feedback)}")
        if not args.dry_run:
            redrive(client, args.bootstrap, selected)
    for letter in selected:
        print(f"{'would send' if args.dry_run else 'sent'} {letter.place}")
    print(f"{len(selected)} of {len(found)} letters {'would be sent' if args.dry_run else 'sent'} through again.")
    return 0


def _add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="only letters with this reason")
    parser.add_argument("--topic", default="", choices=INPUTS, help=f"only letters of {' or of '.join(INPUTS)}")
    parser.add_argument(
        "--since", type=options.time, metavar="TIME", help="only letters since this time, as 2026-01-31T12:00Z"
    )


def _time_text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _redriven_text(letter: Any) -> str:
    return "yes" if letter.redriven else "no"

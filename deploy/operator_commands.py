"""The operator's commands of `feedback`: audit, dead, orphans. What each takes, and how its result is printed.

Exit codes: 0 all is well or done, 1 the command found or could not do something and says what, 2 a wrong command line.
"""

import argparse
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from deploy.engines import CommandError, clickhouse, table

KAFKA = "127.0.0.1:9092"
CLICKHOUSE = "http://default:@127.0.0.1:8123"
GROUP = "feedback-workers"

_AUDIT = (
    "Counts every record of the input topics: accepted = stored + dead + erased + waiting. Exits 1 where a record is"
    " missing, doubled, back although it was erased, unknown to its log, or expired in Kafka before a worker read it."
)


_RECONCILE = (
    "Computes all rows, aggregates and rollups again from the journal and compares. Exits 1 where they differ, and with"
    " --repair where they still do afterwards. Workers may go on working: what differs is looked at again later"
    " (--settle), and counts only if it has not moved. So a trace or an hour that is never at rest is compared in vain:"
    " compare it later, or stop what sends."
)


_ERASE = (
    "Deletes the person's feedback through the workers, which must run, then removes their rows from every table and"
    " leaves tombstones on the topics that keep the latest. For good. Exits 1 where something is left."
)


def add_to(commands: Any) -> None:
    """Register the commands with the subparsers of `feedback`."""
    audit = commands.add_parser("audit", help="count that every accepted record is stored or dead", description=_AUDIT)
    add_engines(audit, with_kafka=True)
    audit.add_argument("--group", default=os.environ.get("FEEDBACK_CONSUMER_GROUP", GROUP), help="the workers' group")
    audit.add_argument(
        "--offset-base",
        type=_whole,
        default=os.environ.get("FEEDBACK_OFFSET_BASE") or None,
        metavar="N",
        help="what workers add to offsets (FEEDBACK_OFFSET_BASE, else as `feedback up` has noted it)",
    )
    audit.set_defaults(run=told(_audit))

    dead = commands.add_parser("dead", help="list, show and redrive dead letters")
    actions = dead.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="the letters by reason, and the latest of them")
    add_engines(listing)
    _narrow(listing)
    listing.add_argument("--limit", type=_whole, default=20, metavar="N", help="how many letters (%(default)s)")
    listing.set_defaults(run=told(_dead_list))
    show = actions.add_parser("show", help="all of one letter, and what to do about it")
    add_engines(show)
    show.add_argument("place", type=_place, metavar="TOPIC/PARTITION/SEQUENCE")
    show.set_defaults(run=told(_dead_show))
    redrive = actions.add_parser("redrive", help="send letters through again")
    add_engines(redrive, with_kafka=True)
    redrive.add_argument("places", type=_place, nargs="*", metavar="TOPIC/PARTITION/SEQUENCE")
    _narrow(redrive)
    redrive.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    redrive.add_argument("--again", action="store_true", help="also those that were sent through before")
    redrive.add_argument("--force", action="store_true", help="also changes of feedback that has changed since")
    redrive.set_defaults(run=told(_dead_redrive))

    reconcile = commands.add_parser(
        "reconcile", help="compute everything again from the journal, and compare", description=_RECONCILE
    )
    add_engines(reconcile)
    reconcile.add_argument("--workspace", help="whose feedback (all)")
    reconcile.add_argument("--since", type=_time, metavar="TIME", help="created since, as 2026-01-31T12:00Z (ever)")
    reconcile.add_argument("--until", type=_time, metavar="TIME", help="created before (now)")
    reconcile.add_argument(
        "--settle",
        type=_seconds,
        default=3,
        metavar="S",
        help="seconds after which what differs is looked at again (3)",
    )
    reconcile.add_argument("--repair", action="store_true", help="write what is missing or wrong")
    reconcile.add_argument(
        "--remove", action="store_true", help="with --repair, also remove rows that the journal does not account for"
    )
    reconcile.set_defaults(run=told(_reconcile))

    erase = commands.add_parser("erase", help="remove a person's rows everywhere", description=_ERASE)
    add_engines(erase, with_kafka=True)
    erase.add_argument("--user", required=True, metavar="U", help="the person, as `_user` names them")
    erase.add_argument("--workspace", default="default", help="whose data (%(default)s)")
    erase.add_argument("--group", default=os.environ.get("FEEDBACK_CONSUMER_GROUP", GROUP), help="the workers' group")
    erase.set_defaults(run=told(_erase))

    orphans = commands.add_parser("orphans", help="feedback that no request has joined, by age")
    add_engines(orphans)
    orphans.add_argument("--workspace", default="default", help="whose feedback (%(default)s)")
    orphans.set_defaults(run=told(_orphans))


def told(action: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The action with its CommandErrors told in a sentence, exit 1."""

    def run(options: argparse.Namespace) -> int:
        try:
            return action(options)
        except CommandError as error:
            print(f"feedback: {error}", file=sys.stderr)
            return 1

    return run


def _audit(options: argparse.Namespace) -> int:
    from deploy.audit import audit

    accounts = audit(options.clickhouse_url, options.bootstrap, options.group, options.offset_base)
    header = ["topic", "partition", "accepted", "stored", "dead", "erased", "waiting", "difference"]
    rows: list[list[Any]] = [
        [a.log.topic, str(a.log.partition), a.accepted, a.stored, a.dead, a.erased, a.waiting, a.difference]
        for a in accounts
        if a.accepted or a.difference
    ]
    total: list[Any] = ["all", "", *(sum(row[i] for row in rows) for i in range(2, len(header)))]
    for line in table(header, [*rows, total]):
        print(line)
    if sum(a.accepted for a in accounts) and all(a.log.committed == a.log.start for a in accounts):
        print(f"The group {options.group} has committed nothing: is it the workers'?")
    for a in accounts:
        where = f"{a.log.topic}/{a.log.partition}"
        if a.missing:
            print(f"{where}: {a.missing} records are nowhere, first at offsets {a.missing_offsets}")
        if a.doubled:
            print(f"{where}: {a.doubled} records are both stored and dead")
        if a.returned:
            print(f"{where}: {a.returned} records stand again that were erased: run the same `feedback erase` again")
        if a.strangers:
            print(f"{where}: {a.strangers} rows are of no record of this log: is the offset base right?")
        if a.log.expired:
            print(f"{where}: {a.log.expired} records expired in Kafka before a worker read them")
    return 1 if total[-1] else 0


def _dead_list(options: argparse.Namespace) -> int:
    from deploy.dead_letters import Filter, letters, reasons

    wanted = Filter(options.reason, options.topic, options.since)
    with clickhouse(options.clickhouse_url) as client:
        summary, latest = reasons(client, wanted), letters(client, wanted, options.limit)
    if not summary:
        print("There are no dead letters." if wanted == Filter() else "No dead letter is as asked for.")
        return 0
    for line in table(
        ["reason", "topic", "letters", "first", "last"], [[*r[:3], _shown(r[3]), _shown(r[4])] for r in summary]
    ):
        print(line)
    print()
    listed = [[each.place, _shown(each.recorded_at), each.reason, _sent(each), each.detail] for each in latest]
    for line in table(["place", "time", "reason", "redriven", "detail"], listed):
        print(line)
    print("\n`feedback dead show PLACE` shows one, `feedback dead redrive PLACE` sends it through again.")
    return 0


def _dead_show(options: argparse.Namespace) -> int:
    from deploy.dead_letters import WHAT_TO_DO, Filter, letters

    with clickhouse(options.clickhouse_url) as client:
        found = letters(client, Filter(place=options.place), 1)
    if not found:
        raise CommandError(f"There is no dead letter at {'/'.join(map(str, options.place))}.")
    letter = found[0]
    print(f"place      {letter.place} (offset {letter.offset})")
    print(f"time       {_shown(letter.recorded_at)}")
    print(f"reason     {letter.reason}: {letter.detail}")
    print(f"what to do {WHAT_TO_DO.get(letter.reason, 'Mend the cause, then redrive it.')}")
    print(f"redriven   {_sent(letter)}")
    print(f"feedback   {letter.feedback_id or 'its bytes name none'}")
    print(f"key        {letter.key.decode(errors='backslashreplace')}")
    print(f"value      {letter.value.decode(errors='backslashreplace')}")
    return 0


def _dead_redrive(options: argparse.Namespace) -> int:
    from deploy.dead_letters import Filter, letters, overtaken, redrive

    narrowed = Filter(options.reason, options.topic, options.since)
    if bool(options.places) == (narrowed != Filter()):
        raise CommandError("Say which letters: their places, or --reason, --topic or --since.")
    with clickhouse(options.clickhouse_url) as client:
        wanted = [Filter(place=place) for place in options.places] or [narrowed]
        found = [letter for each in wanted for letter in letters(client, each, 1_000_000)]
        missing = [each for each in options.places if each not in {(x.topic, x.partition, x.sequence) for x in found}]
        if missing:
            raise CommandError(f"There is no dead letter at {'/'.join(map(str, missing[0]))}; nothing was sent.")
        chosen = []
        for letter in found:
            if letter.redriven and not options.again:
                print(f"left {letter.place}: it was sent through before; --again sends it once more")
            elif not options.force and overtaken(client, letter):
                print(f"left {letter.place}: feedback {letter.feedback_id} has changed since; --force undoes that")
            else:
                chosen.append(letter)
        if not options.dry_run:
            redrive(client, options.bootstrap, chosen)
    for letter in chosen:
        print(f"{'would send' if options.dry_run else 'sent'} {letter.place}")
    print(f"{len(chosen)} of {len(found)} letters {'would be sent' if options.dry_run else 'sent'} through again.")
    return 0


def _reconcile(options: argparse.Namespace) -> int:
    from deploy.differences import Scope
    from deploy.reconcile import reconcile

    if options.remove and not options.repair:
        raise CommandError("--remove goes with --repair.")
    start, end = Scope().since, Scope().until
    scope = Scope(
        options.workspace,
        int(options.since.timestamp()) // 3600 * 3600 if options.since else start,
        -(-int(options.until.timestamp()) // 3600) * 3600 if options.until else end,
    )
    with clickhouse(options.clickhouse_url):
        compare = partial(reconcile, options.clickhouse_url, scope, settle_s=options.settle, say=print)
        found = compare(repair=options.repair, remove=options.remove)
        for each in found:
            print(each)
        if found and options.repair:
            print("Repaired; comparing again.")
            found = compare(repair=False)
            for each in found:
                print(each)
    print(_what_to_do(options) if found else "Nothing differs.")
    return 1 if found else 0


def _what_to_do(options: argparse.Namespace) -> str:
    if not options.repair:
        return "There are differences: --repair writes what is missing or wrong."
    if not options.remove:
        return "What is left, the journal does not account for: see why, and if it may go, add --remove."
    return "These differences remain: see what the logs of ClickHouse and of the workers say."


def _erase(options: argparse.Namespace) -> int:
    from deploy.erase import erase

    before, after = erase(
        options.clickhouse_url, options.bootstrap, options.group, options.workspace, options.user, say=print
    )
    for line in table(["table", "before", "after"], [[name, before[name], after[name]] for name in before]):
        print(line)
    left = sum(after.values())
    if not any(before.values()):
        print(f"Nothing names the user {options.user!r} in the workspace {options.workspace!r}: are both spelt right?")
        return 0
    print(
        f"{left} rows are left: erase again." if left else
        "Nothing is left in ClickHouse. Records in Kafka's input topics stay until their retention ends, 7 days after"
        " they were accepted, and dead letters on feedback.dead.v1 for 30."
    )  # fmt: skip
    return 1 if left else 0


def _orphans(options: argparse.Namespace) -> int:
    from deploy.orphans import COLUMNS, report

    with clickhouse(options.clickhouse_url) as client:
        rows = report(client, options.workspace)
    if not rows:
        print("Every feedback has been joined.")
        return 0
    for line in table(COLUMNS, rows):
        print(line)
    return 0


def add_engines(parser: argparse.ArgumentParser, *, with_kafka: bool = False) -> None:
    """Let the command be told where ClickHouse is, and Kafka if it needs it."""
    parser.add_argument(
        "--clickhouse-url",
        default=os.environ.get("FEEDBACK_CLICKHOUSE_URL", CLICKHOUSE),
        metavar="URL",
        help="http://user:password@host:port (FEEDBACK_CLICKHOUSE_URL, else this machine)",
    )
    if with_kafka:
        parser.add_argument(
            "--bootstrap",
            default=os.environ.get("FEEDBACK_KAFKA_BOOTSTRAP", KAFKA),
            metavar="HOST:PORT",
            help="brokers, comma-separated (FEEDBACK_KAFKA_BOOTSTRAP, else this machine)",
        )


def _narrow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="only letters with this reason")
    parser.add_argument("--topic", default="", help="only letters of this topic")
    parser.add_argument(
        "--since", type=_time, metavar="TIME", help="only letters since this time, as 2026-01-31T12:00Z"
    )


def _place(text: str) -> tuple[str, int, int]:
    from deploy.dead_letters import place_of

    try:
        return place_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no place: give TOPIC/PARTITION/SEQUENCE") from None


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give it as 2026-01-31T12:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds: give 0 to 3600")
    return seconds


def _whole(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) < 2**47:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {2**47 - 1}")
    return int(text)


def _shown(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _sent(letter: Any) -> str:
    return "yes" if letter.redriven else "no"

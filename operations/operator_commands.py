"""The operator's commands of `feedback`: audit, dead, reconcile, erase, orphans. What each takes, and how its result is
printed; `dead` has a file of its own.

Exit codes: 0 all is well or done, 1 the command found or could not do something and says what, 2 a wrong command line.
"""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse, table
from operations.dead_letters import commands as dead_letter_commands

if TYPE_CHECKING:
    from operations.audit import Account
    from operations.reconcile.differences import Difference

_AUDIT = (
    "Counts every record of the input topics: accepted = stored + dead + erased + waiting. Exits 1 where a record is"
    " missing, doubled, back although it was erased, unknown to its log, or was gone from Kafka before a worker read"
    " it; that until it is acknowledged."
)


_RECONCILE = (
    "Computes all rows, aggregates and rollups again from the journal and compares. Exits 1 where they differ, and with"
    " --repair where they still do afterwards. Workers may go on working: what differs is looked at again later"
    " (--settle), and counts only if it has not moved. So a trace or an hour that is never at rest is compared in vain:"
    " compare it later, or stop what sends."
)

_JOURNAL_LACKS = (
    "What the journal does not account for is left alone, and whatever rests on it: the journal may have lost"
    " something. `feedback audit` says which records are nowhere; `feedback replay` brings back those that Kafka still"
    " has."
)


_ERASE = (
    "Deletes the person's feedback through the workers, which must run, then removes their rows from every table and"
    " leaves tombstones on the topics that keep the latest. For good. Exits 1 where something is left."
)


def add_to(commands: Any) -> None:
    """Register the commands with the subparsers of `feedback`."""
    audit = commands.add_parser("audit", help="count that every accepted record is stored or dead", description=_AUDIT)
    options.engines(audit, with_kafka=True)
    options.group(audit)
    options.offset_base(audit)
    audit.add_argument(
        "--acknowledge",
        action="store_true",
        help="count no longer what is lost now, because somebody knows of it",
    )
    audit.add_argument("--note", default="", metavar="TEXT", help="with --acknowledge: what to remember of it")
    audit.set_defaults(run=_audit)

    dead_letter_commands.add_to(commands)

    reconcile = commands.add_parser(
        "reconcile", help="compute everything again from the journal, and compare", description=_RECONCILE
    )
    options.engines(reconcile)
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

    erase = commands.add_parser("erase", help="remove a person's rows everywhere", description=_ERASE)
    options.engines(erase, with_kafka=True)
    erase.add_argument("--user", required=True, metavar="U", help="the person, as `_user` names them")
    erase.add_argument("--workspace", default="default", help="whose data (%(default)s)")
    options.group(erase)
    erase.add_argument("--dry-run", action="store_true", help="only say how many rows would go from each table")
    erase.set_defaults(run=_erase)

    orphans = commands.add_parser("orphans", help="feedback that no request has joined, by age")
    options.engines(orphans)
    orphans.add_argument("--workspace", default="default", help="whose feedback (%(default)s)")
    orphans.set_defaults(run=_orphans)


def _audit(given: argparse.Namespace) -> int:
    from operations.audit import audit, faults_of, is_of_no_workers
    from operations.check_results import keep, result_of
    from operations.lost_records import note

    if given.note and not given.acknowledge:
        raise CommandError("--note goes with --acknowledge.")
    began = datetime.now(UTC)
    accounts = audit(given.clickhouse_url, given.bootstrap, given.group, given.offset_base)
    difference = _tell_accounts(accounts)
    if is_of_no_workers(accounts):
        raise CommandError(
            f"The group {given.group} has committed nothing, and records are stored all the same: is it the workers'?"
            " FEEDBACK_CONSUMER_GROUP or --group names it."
        )
    faults = faults_of(accounts)
    lost = faults["lost"]
    with clickhouse(given.clickhouse_url) as client:
        keep(client, "audit", result_of(began, faults | ({"lost": 0} if given.acknowledge else {})))
        if not given.acknowledge:
            return 1 if difference else 0
        open_ranges = [((a.log.topic, a.log.partition), each) for a in accounts for each in a.lost_ranges]
        note(client, open_ranges, is_acknowledged=True, text=given.note)
    print(f"{lost} lost records are acknowledged from now on.")
    return 1 if difference - lost else 0


def _tell_accounts(accounts: "Sequence[Account]") -> int:
    """Print the books and what is wrong in them; how many records that is."""
    header = ["topic", "partition", "accepted", "stored", "dead", "erased", "waiting", "difference"]
    rows: list[list[Any]] = [
        [a.log.topic, str(a.log.partition), a.accepted, a.stored, a.dead, a.erased, a.waiting, a.difference]
        for a in accounts
        if a.accepted or a.difference
    ]
    total: list[Any] = ["all", "", *(sum(row[i] for row in rows) for i in range(2, len(header)))]
    for line in table(header, [*rows, total]):
        print(line)
    for a in accounts:
        where = f"{a.log.topic}/{a.log.partition}"
        if a.missing:
            print(f"{where}: {a.missing} records are nowhere, first at offsets {a.missing_offsets}")
        if a.doubled:
            print(f"{where}: {a.doubled} records are both stored and dead")
        if a.returned:
            print(
                f"{where}: {a.returned} records stand again that were erased: run the same `feedback erase` again, or"
                " `feedback demo --remove`"
            )
        if a.strangers:
            print(f"{where}: {a.strangers} rows are of no record of this log: is the offset base right?")
        if a.lost:
            among = ", ".join(f"{each.first} to {each.end - 1}" for each in a.lost_ranges[:5])
            print(f"{where}: {a.lost} records were gone from Kafka before a worker read them, among sequences {among}")
        if a.acknowledged:
            print(f"{where}: {a.acknowledged} lost records are acknowledged and no longer counted")
    return int(total[-1])


def _reconcile(given: argparse.Namespace) -> int:
    from operations import workspaces
    from operations.check_results import keep, result_of
    from operations.progress import Progress
    from operations.reconcile.differences import Scope
    from operations.reconcile.reconcile import reconcile

    if given.remove and not given.repair:
        raise CommandError("--remove goes with --repair.")
    if given.since and given.until and given.since >= given.until:
        raise CommandError("--since must be before --until: nothing lies between them.")
    start, end = Scope().since, Scope().until
    scope = Scope(
        given.workspace,
        int(given.since.timestamp()) // 3600 * 3600 if given.since else start,
        -(-int(given.until.timestamp()) // 3600) * 3600 if given.until else end,
    )
    began = datetime.now(UTC)
    with clickhouse(given.clickhouse_url) as client:
        if given.workspace is not None:
            workspaces.require(client, given.workspace)
        compare = partial(reconcile, given.clickhouse_url, scope, settle_s=given.settle, progress=Progress())
        found = compare(repair=given.repair, remove=given.remove)
        for each in found:
            print(each)
        if found and given.repair:
            print("Repaired; comparing again.")
            found = compare(repair=False)
            for each in found:
                print(each)
        kinds = {each.what: each.number for each in found}
        is_whole = scope.workspace is None and scope.is_all_time
        keep(client, "reconcile", result_of(began, kinds, is_whole=is_whole, is_repaired=given.repair))
    print(_what_to_do(given, found) if found else "Nothing differs.")
    return 1 if found else 0


def _what_to_do(given: argparse.Namespace, found: Sequence["Difference"]) -> str:
    from operations.reconcile.verdict import UNKNOWN

    lacks = any(UNKNOWN in each.what for each in found)
    if not given.repair:
        told = "There are differences: --repair puts right what is missing or wrong."
        return f"{told} {_JOURNAL_LACKS}" if lacks else told
    if lacks and not given.remove:
        return f"{_JOURNAL_LACKS} If the journal is right all the same, add --remove: it is then believed."
    return "These differences remain: see what the logs of ClickHouse and of the workers say."


def _erase(given: argparse.Namespace) -> int:
    from operations.erase.conditions import person
    from operations.erase.erasure import erase, would_erase
    from operations.progress import Progress

    if not given.user:
        raise CommandError("Name the person: --user must not be empty.")
    them = person(given.workspace, given.user)
    if given.dry_run:
        found = would_erase(given.clickhouse_url, them)
        for line in table(["table", "rows"], [[name, rows] for name, rows in found.items()]):
            print(line)
        print("Nothing was changed: without --dry-run these rows go." if any(found.values()) else _nothing(given))
        return 0
    before, after = erase(given.clickhouse_url, given.bootstrap, given.group, them, progress=Progress())
    for line in table(["table", "before", "after"], [[name, before[name], after[name]] for name in before]):
        print(line)
    left = sum(after.values())
    if not any(before.values()):
        print(_nothing(given))
        return 0
    print(
        f"{left} rows are left: erase again." if left else
        "Nothing is left in ClickHouse. Records in Kafka's input topics stay until their retention ends, 7 days after"
        " they were accepted, and dead letters on feedback.dead.v1 for 30."
    )  # fmt: skip
    return 1 if left else 0


def _nothing(given: argparse.Namespace) -> str:
    from operations import workspaces

    with clickhouse(given.clickhouse_url) as client:
        workspaces.require(client, given.workspace)
    return f"Nothing names the user {given.user!r} in the workspace {given.workspace!r}: are both spelt right?"


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

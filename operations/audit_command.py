"""`feedback audit`: prints what has become of the accepted records, and which are at fault."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from operations import command_options as options
from operations.connections import CommandError, clickhouse, table

if TYPE_CHECKING:
    from operations.audit import Account

_ABOUT = (
    "Counts every record of the input topics: accepted = stored + dead + erased + waiting. Exits with 1 if a record is"
    " missing, or stored twice, or stored again after it was erased, or does not belong to its log. A record that Kafka"
    " dropped before a worker read it counts as lost until it is acknowledged."
)


def add_to(commands: Any) -> None:
    """Register the command with the subparsers of `feedback`."""
    audit = commands.add_parser("audit", help="count that every accepted record is stored or dead", description=_ABOUT)
    options.add_engines(audit, with_kafka=True)
    options.add_group(audit)
    options.add_offset_base(audit)
    audit.add_argument(
        "--acknowledge",
        action="store_true",
        help="acknowledge the records that are lost now: they count no more",
    )
    audit.add_argument("--note", default="", metavar="TEXT", help="with --acknowledge: a note that is kept with them")
    audit.set_defaults(run=_audit)


def _audit(args: argparse.Namespace) -> int:
    from operations.audit import audit, faults_of, is_foreign_group
    from operations.check_results import result_of, store_result
    from operations.lost_records import store_losses

    if args.note and not args.acknowledge:
        raise CommandError("--note goes with --acknowledge.")
    began = datetime.now(UTC)
    accounts = audit(args.clickhouse_url, args.bootstrap, args.group, args.offset_base)
    difference = _tell_accounts(accounts)
    if is_foreign_group(accounts):
        raise CommandError(
            f"The group {args.group} has committed nothing, and records are stored all the same: is it the workers'?"
            " FEEDBACK_CONSUMER_GROUP or --group names it."
        )
    faults = faults_of(accounts)
    lost = faults["lost"]
    with clickhouse(args.clickhouse_url) as client:
        store_result(client, "audit", result_of(began, faults | ({"lost": 0} if args.acknowledge else {})))
        if not args.acknowledge:
            return 1 if difference else 0
        open_ranges = [((a.log.topic, a.log.partition), each) for a in accounts for each in a.lost_ranges]
        store_losses(client, open_ranges, is_acknowledged=True, text=args.note)
    print(f"{lost} lost records are acknowledged from now on.")
    return 1 if difference - lost else 0


def _tell_accounts(accounts: "Sequence[Account]") -> int:
    """Print the accounts and their faults; how many records are at fault."""
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
                f"{where}: {a.returned} records that were erased are stored again: run the same `feedback erase` again,"
                " or `feedback demo --remove`"
            )
        if a.strangers:
            print(
                f"{where}: {a.strangers} rows are of no record of this log: is the offset base right, and is Kafka not"
                " older than ClickHouse?"
            )
        if a.lost:
            among = ", ".join(f"{each.first} to {each.end - 1}" for each in a.lost_ranges[:5])
            print(f"{where}: {a.lost} records were gone from Kafka before a worker read them, among sequences {among}")
        if a.acknowledged:
            print(f"{where}: {a.acknowledged} lost records are acknowledged and no longer counted")
    return int(total[-1])

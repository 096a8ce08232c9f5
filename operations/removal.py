"""Removes rows from ClickHouse for good.

ClickHouse removes rows by a mutation, which checks each part of a table and rewrites the parts with such rows. The cost
grows with the parts, so one mutation removes all rows from a table, and the mutations of several tables run at once.
"""

import time
from collections.abc import Iterable, Mapping

from clickhouse_connect.driver.client import Client

from operations.connections import CommandError
from operations.progress import Progress

_LOOK_AGAIN_S = 0.1
_SETTINGS = {"mutations_sync": 0, "allow_nondeterministic_mutations": 1}
_UNDER_WAY = """
SELECT table, sum(parts_to_do), anyIf(latest_fail_reason, latest_fail_reason != '') FROM system.mutations
WHERE database = 'feedback' AND table IN {tables:Array(String)} AND NOT is_done
GROUP BY table
"""
_SUMMED = {"request_log_rows", "trace_aggregate_rows"}
"""Tables of which request_day_sums holds sums."""
_KEEPING = """
SELECT query_id FROM system.processes WHERE query_kind = 'Insert' AND position(query, 'request_day_sums') > 0
"""
_PARTS = """
SELECT count() FROM system.parts WHERE database = 'feedback' AND table IN {tables:Array(String)} AND active
"""


def mutate(
    client: Client, changes: Mapping[str, str], parameters: Mapping[str, object], progress: Progress | None = None
) -> None:
    """Run an ALTER on each table, such as `DELETE WHERE …`, and return when all parts are done, and when nothing that
    was computed from the rows is kept any more.

    CommandError where ClickHouse fails; it then continues to try by itself.
    """
    for table, change in changes.items():
        client.command(f"ALTER TABLE feedback.{table} {change}", parameters=dict(parameters), settings=_SETTINGS)
    _wait(client, changes.keys(), progress or Progress())
    if not _SUMMED.isdisjoint(changes):
        forget_sums(client)


def forget_sums(client: Client) -> None:
    """Empty request_day_sums once those statements have ended that may have read the rows before they were removed.

    `mutate` does so by itself; whoever may have been killed within it does so again.
    """
    under_way = set(client.query(_KEEPING).result_rows)
    while under_way & set(client.query(_KEEPING).result_rows):
        time.sleep(_LOOK_AGAIN_S)
    client.command("TRUNCATE TABLE feedback.request_day_sums")


def _wait(client: Client, tables: Iterable[str], progress: Progress) -> None:
    wanted = {"tables": list(tables)}
    left = int(client.query(_PARTS, wanted).result_rows[0][0]) if wanted["tables"] else 0
    with progress.step("parts of tables gone through", left) as advance:
        while found := client.query(_UNDER_WAY, wanted).result_rows:
            for table, _, reason in found:
                if reason:
                    raise CommandError(f"rows of {table} cannot be removed: {' '.join(reason.split())[:400]}")
            now = sum(int(parts) for _, parts, _ in found)
            advance(max(0, left - now))
            left = min(left, now)
            time.sleep(_LOOK_AGAIN_S)

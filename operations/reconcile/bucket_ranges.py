"""Ranges of buckets: consecutive hours or days in the order of the tables, so that each bucket is read once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from operations.reconcile.differences import Pause, Scope
from operations.reconcile.snapshot import SETTINGS, working_table
from stream_workers.rollup.hour_rows import find_contested
from stream_workers.rollup.rollups import Hour

ROWS_AT_ONCE = 2_000_000

Fingerprints = dict[Hour, object]
"""Differing buckets, each with a value that changes while the programs still change the bucket."""

Compare = Callable[[str], Iterator[Fingerprints]]
"""Takes a condition on `workspace` and `at`, and yields the buckets that differ, range by range."""


@dataclass(frozen=True)
class BucketRange:
    """The buckets from a first to a last one, in the order of workspaces and times."""

    first: Hour
    last: Hour
    since: int
    until: int
    rows: int

    def condition(self, time: str, seconds: int = 0) -> str:
        """The condition for rows of the range; `seconds` is the length of a bucket."""
        return f"""
            workspace >= {{first:String}} AND workspace <= {{last:String}}
            AND {time} >= toDateTime({self.since}, 'UTC') AND {time} <= toDateTime({self.until + seconds}, 'UTC')
            AND NOT (workspace = {{first:String}} AND {time} < toDateTime({self.first.start}, 'UTC'))
            AND NOT (workspace = {{last:String}} AND {time} > toDateTime({self.last.start + seconds}, 'UTC'))"""

    @property
    def parameters(self) -> dict[str, str]:
        return {"first": self.first.workspace, "last": self.last.workspace}


def bucket_ranges(client: Client, rows: str, condition: str, scope: Scope) -> list[BucketRange]:
    """All rows of `workspace` and `at`, in ranges that fit into memory, or of a single bucket."""
    found = client.query(
        f"""
        SELECT min(place), max(place), min(place.2), max(place.2), sum(number) FROM (
            SELECT place, number, intDiv(
                sum(number) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), {ROWS_AT_ONCE}
            ) AS bucket_range FROM (
                SELECT (workspace::String, toUnixTimestamp(at)) AS place, count() AS number FROM ({rows})
                WHERE {scope.condition("at")} AND {condition} GROUP BY place
            )
        ) GROUP BY bucket_range ORDER BY bucket_range""",
        scope.parameters,
    ).result_rows
    return [BucketRange(Hour(*first), Hour(*last), *numbers) for first, last, *numbers in found]


def differing_buckets(client: Client, buckets: BucketRange, query: str) -> Fingerprints:
    """The result of a query for workspace, start and fingerprint, within a range."""
    rows = client.query(query, buckets.parameters).result_rows
    return {Hour(workspace, start): fingerprint for workspace, start, fingerprint in rows}


def has_contested_copies(client: Client, buckets: BucketRange, condition: str) -> bool:
    """Whether a copy in the hours of the range is contested. To tell which count then takes half of a comparison."""
    within = f"{buckets.condition('hour')} AND {with_time_column(condition, 'hour')}"
    return bool(client.query(find_contested(within), buckets.parameters).result_rows)


def stable_differences(client: Client, compare: Compare, pause: Pause) -> list[Hour]:
    """The differing buckets, sorted, that still differ, with the same fingerprint, after a pause."""
    first: Fingerprints = {}
    for differing in compare("1"):
        first |= differing
    if not first:
        return []
    pause()
    stable: list[Hour] = []
    with bucket_condition(client, first) as condition:
        for differing in compare(condition):
            stable += [hour for hour, value in differing.items() if first.get(hour) == value]
    return sorted(stable)


@contextmanager
def bucket_condition(client: Client, buckets: Iterable[Hour]) -> Iterator[str]:
    """A condition on `workspace` and `at` that selects these buckets, by a working table."""
    buckets = sorted(buckets)
    with working_table(client, "workspace String, at DateTime('UTC')", "(workspace, at)") as name:
        columns: dict[str, Any] = {
            "workspace": pa.array([each.workspace for each in buckets]),
            "at": pa.array([each.start for each in buckets], pa.uint32()),
        }
        client.insert_arrow(name, pa.table(columns), settings=SETTINGS)
        yield f"(workspace, at) IN (SELECT workspace, at FROM {name})"


def with_time_column(condition: str, column: str) -> str:
    """The condition of `bucket_condition` for a table whose column of time has another name than `at`."""
    return condition.replace("(workspace, at)", f"(workspace::String, {column})", 1)


def bucket_name(bucket: Hour) -> str:
    """A bucket as messages name it."""
    return f"{bucket.workspace}/{datetime.fromtimestamp(bucket.start, UTC):%Y-%m-%dT%HZ}"

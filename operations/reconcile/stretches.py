"""Stretches of hours or days: consecutive buckets in the order of the tables, so that each bucket is read once."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.differences import Pause, Scope
from operations.reconcile.snapshot import SETTINGS, working_table
from stream_workers.rollup.rollups import Hour

ROWS_AT_ONCE = 2_000_000

Marked = dict[Hour, object]
"""Buckets, each with a mark that changes while the programs still change the bucket."""

Look = Callable[[str], Iterator[Marked]]
"""Takes a condition on `workspace` and `at`, and finds the buckets that differ, a stretch at a time."""


@dataclass(frozen=True)
class Stretch:
    """The buckets from a first to a last one, in the order of workspaces and times."""

    first: Hour
    last: Hour
    since: int
    until: int
    rows: int

    def condition(self, time: str, seconds: int = 0) -> str:
        """The condition for rows of the stretch; `seconds` is the length of a bucket."""
        return f"""
            workspace >= {{first:String}} AND workspace <= {{last:String}}
            AND {time} >= toDateTime({self.since}, 'UTC') AND {time} <= toDateTime({self.until + seconds}, 'UTC')
            AND NOT (workspace = {{first:String}} AND {time} < toDateTime({self.first.start}, 'UTC'))
            AND NOT (workspace = {{last:String}} AND {time} > toDateTime({self.last.start + seconds}, 'UTC'))"""

    @property
    def parameters(self) -> dict[str, str]:
        return {"first": self.first.workspace, "last": self.last.workspace}


def stretches(client: Client, rows: str, condition: str, scope: Scope) -> list[Stretch]:
    """All rows of `workspace` and `at`, in stretches that fit into memory, or of a single bucket."""
    found = client.query(
        f"""
        SELECT min(place), max(place), min(place.2), max(place.2), sum(number) FROM (
            SELECT place, number, intDiv(
                sum(number) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW), {ROWS_AT_ONCE}
            ) AS stretch FROM (
                SELECT (workspace::String, toUnixTimestamp(at)) AS place, count() AS number FROM ({rows})
                WHERE {scope.condition("at")} AND {condition} GROUP BY place
            )
        ) GROUP BY stretch ORDER BY stretch""",
        scope.parameters,
    ).result_rows
    return [Stretch(Hour(*first), Hour(*last), *numbers) for first, last, *numbers in found]


def in_turn(found: Iterable[Stretch], what: str, progress: Progress) -> Iterator[Stretch]:
    """The stretches, one after the other, with progress."""
    found = list(found)
    with progress.step(what, sum(each.rows for each in found)) as advance:
        for each in found:
            yield each
            advance(each.rows)


def differing(client: Client, stretch: Stretch, query: str) -> Marked:
    """The result of a query for workspace, start and mark, within a stretch."""
    rows = client.query(query, stretch.parameters).result_rows
    return {Hour(workspace, start): mark for workspace, start, mark in rows}


def stable_differences(client: Client, look: Look, pause: Pause) -> list[Hour]:
    """The differing buckets, sorted, that are found again, unchanged, after a pause."""
    first: dict[Hour, object] = {}
    for marked in look("1"):
        first |= marked
    if not first:
        return []
    pause()
    found: list[Hour] = []
    with chosen(client, first) as condition:
        for marked in look(condition):
            found += [hour for hour, mark in marked.items() if hour in first and first[hour] == mark]
    return sorted(found)


@contextmanager
def chosen(client: Client, hours: Iterable[Hour]) -> Iterator[str]:
    """A condition on `workspace` and `at` that selects these hours."""
    hours = sorted(hours)
    with working_table(client, "workspace String, at DateTime('UTC')", "(workspace, at)") as name:
        columns: dict[str, Any] = {
            "workspace": pa.array([each.workspace for each in hours]),
            "at": pa.array([each.start for each in hours], pa.uint32()),
        }
        client.insert_arrow(name, pa.table(columns), settings=SETTINGS)
        yield f"(workspace, at) IN (SELECT workspace, at FROM {name})"


def on(condition: str, at: str) -> str:
    """The condition of `chosen` for a table whose column of time has this name."""
    return condition.replace("(workspace, at)", f"(workspace::String, {at})", 1)


def name_of(hour: Hour) -> str:
    """A bucket as messages name it."""
    return f"{hour.workspace}/{datetime.fromtimestamp(hour.start, UTC):%Y-%m-%dT%HZ}"

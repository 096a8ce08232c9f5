"""Computes hours and days from stored rows, inside ClickHouse, so that a stale computation can never win.

What is written is absolute. The totals and the version of a group follow from one reading (statements.py), and of two
readings the later one has seen no less. The version of a group is higher exactly if anything in it has changed, and no
group ever disappears. So the computation that has read less loses, in whatever order the results arrive, and a group
whose version is stored already need not be written again.

This holds only while rows are added and never removed. Code that physically removes rows calls
`recompute_after_removal`. Each removal adds a mark, and a version begins with the number of marks (the epoch), which is
read before the rows are. Rollups of an earlier epoch than that of their hour or day do not count any more.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import uuid4

from clickhouse_connect.driver.asyncclient import AsyncClient

from stream_workers.rollup.statements import (
    DELETE_VOID_ROWS,
    EPOCHS,
    FIND_CONTESTED,
    STALE,
    WRITE,
    WRITE_UNCONTESTED,
)

_DAY = 86_400
# A statement for several buckets costs little more than for one, and so many busy hours still fit into memory.
_BUCKETS_AT_ONCE = 24
_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
    "do_not_merge_across_partitions_select_final": 1,
}


class Hour(NamedTuple):
    """An hour of one workspace. `start` is in Unix seconds; a day is given as its first hour."""

    workspace: str
    start: int

    @property
    def day(self) -> "Hour":
        """The first hour of its day."""
        return Hour(self.workspace, self.start // _DAY * _DAY)


async def compute(
    client: AsyncClient, hours: Iterable[Hour], on_progress: Callable[[int], object] = lambda _: None
) -> None:
    """Compute the rollups of these hours and of their days. `on_progress` is told how many buckets a part had, as it is
    done.

    May be called by any program, at any time and repeatedly: at worst it changes nothing. Raises what the client
    raises.
    """
    hours = sorted(set(hours))
    if not hours:
        return
    epochs = await _epochs(client, {hour.workspace for hour in hours})
    for period, buckets in (("hour", hours), ("day", sorted({hour.day for hour in hours}))):
        for workspace, own in groupby(buckets, key=attrgetter("workspace")):
            starts = [bucket.start for bucket in own]
            for at in range(0, len(starts), _BUCKETS_AT_ONCE):
                some = starts[at : at + _BUCKETS_AT_ONCE]
                known = [epochs.get((period, Hour(workspace, start)), 0) for start in some]
                await compute_buckets(client, period, workspace, some, known)
                on_progress(len(some))


async def compute_buckets(
    client: AsyncClient, period: str, workspace: str, starts: Collection[int], epochs: Collection[int]
) -> None:
    """Write the groups of some hours or days whose version is not stored yet, under epochs that were read before.

    A contested copy that comes after the look for them makes the versions of its groups higher, so that the next
    computation counts.
    """
    parameters = {"period": period, "workspace": workspace, "starts": list(starts), "epochs": list(epochs)}
    write = WRITE[period]
    if period == "hour" and not (await client.query(FIND_CONTESTED, parameters=parameters)).result_rows:
        write = WRITE_UNCONTESTED
    await client.command(write, parameters=parameters, settings=_SETTINGS)


async def stale_hours(client: AsyncClient) -> list[Hour]:
    """Hours whose rollups, or whose day's rollups, do not include all stored rows."""
    return sorted({Hour(*row) for row in (await client.query(STALE)).result_rows})


async def recompute_after_removal(
    client: AsyncClient, hours: Iterable[Hour], on_progress: Callable[[int], object] = lambda _: None
) -> None:
    """Void the rollups of these hours and of their days, compute both again, and delete the void rows.

    To be called once rows are removed from `feedback_rows` and `feedback_hour_rows` (mutations_sync = 2), with every
    hour in which the removed feedback was created. May be repeated. Raises what the client raises.
    """
    affected = sorted({Hour(hour.workspace, hour.start // 3600 * 3600) for hour in hours})
    if not affected:
        return
    removal = uuid4()
    await client.insert(
        "feedback.rollup_removals",
        [(hour.workspace, datetime.fromtimestamp(hour.start, UTC), removal) for hour in affected],
        column_names=["workspace", "hour", "removal"],
        settings={"async_insert": 0},
    )
    await compute(client, affected, on_progress)
    await client.command(
        DELETE_VOID_ROWS,
        parameters={"workspaces": sorted({hour.workspace for hour in affected})},
        settings={"mutations_sync": 2, "allow_nondeterministic_mutations": 1},
    )


async def _epochs(client: AsyncClient, workspaces: Collection[str]) -> dict[tuple[str, Hour], int]:
    found = await client.query(EPOCHS, parameters={"workspaces": sorted(workspaces)})
    return {(period, Hour(workspace, start)): epoch for workspace, period, start, epoch in found.result_rows}

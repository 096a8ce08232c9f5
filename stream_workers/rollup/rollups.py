"""Hours and days computed anew from what is stored, inside ClickHouse, so that a stale computation can never win.

What is written is absolute. A group's numbers and version are functions of one reading (rollup_statements.py), and of
two readings the later has seen no less: the version of a group is the higher exactly if anything in it has changed, and
no group is ever lost from sight. So whoever has read less loses, in whatever order results arrive; and a group whose
version is stored already need not be written again.

That rests on rows only being added. Whoever physically removes some calls `touch_after_removal`: each removal leaves a
mark, and a version begins with the number of marks (the epoch), which is read before the rows are. Rows of an earlier
epoch than their bucket's count no more.
"""

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import uuid4

from clickhouse_connect.driver.asyncclient import AsyncClient

from stream_workers.rollup.statements import DELETE_VOID_ROWS, EPOCHS, STALE, WRITE

_DAY = 86_400
# One statement for several costs little more than for one; of busy hours, so many still fit into memory.
_BUCKETS_AT_ONCE = 24
_SETTINGS = {
    "async_insert": 0,
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
    "do_not_merge_across_partitions_select_final": 1,
}


class Hour(NamedTuple):
    """One bucket: a workspace's feedback created in the hour from `start`, Unix seconds."""

    workspace: str
    start: int

    @property
    def day(self) -> "Hour":
        """The first hour of its day."""
        return Hour(self.workspace, self.start // _DAY * _DAY)


async def compute(client: AsyncClient, hours: Iterable[Hour], done: Callable[[int], object] = lambda _: None) -> None:
    """Bring the rollups of these hours, and of the days they lie in, up to what is stored. `done` is called each time
    that some are, with how many.

    May be done by anyone, at any time and again: at worst in vain. Raises what the client raises.
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
                done(len(some))


async def compute_buckets(
    client: AsyncClient, period: str, workspace: str, starts: Collection[int], epochs: Collection[int]
) -> None:
    """Write those groups of some hours or days whose version is not stored, under epochs that were read before."""
    parameters = {"period": period, "workspace": workspace, "starts": list(starts), "epochs": list(epochs)}
    await client.command(WRITE[period], parameters=parameters, settings=_SETTINGS)


async def stale_hours(client: AsyncClient) -> list[Hour]:
    """Hours whose rollups, or whose day's, do not know all that is stored."""
    return sorted({Hour(*row) for row in (await client.query(STALE)).result_rows})


async def touch_after_removal(
    client: AsyncClient, hours: Iterable[Hour], done: Callable[[int], object] = lambda _: None
) -> None:
    """Void the rollups of these hours and of their days, compute both anew, and delete what is void for good. To be
    called once rows are gone from `feedback_rows` and `feedback_hour_rows` (mutations_sync = 2), with every hour in
    which the removed feedback was created. May be repeated. Raises what the client raises.
    """
    touched = sorted({Hour(hour.workspace, hour.start // 3600 * 3600) for hour in hours})
    if not touched:
        return
    removal = uuid4()
    await client.insert(
        "feedback.rollup_removals",
        [(hour.workspace, datetime.fromtimestamp(hour.start, UTC), removal) for hour in touched],
        column_names=["workspace", "hour", "removal"],
        settings={"async_insert": 0},
    )
    await compute(client, touched, done)
    await client.command(
        DELETE_VOID_ROWS,
        parameters={"workspaces": sorted({hour.workspace for hour in touched})},
        settings={"mutations_sync": 2, "allow_nondeterministic_mutations": 1},
    )


async def _epochs(client: AsyncClient, workspaces: Collection[str]) -> dict[tuple[str, Hour], int]:
    found = await client.query(EPOCHS, parameters={"workspaces": sorted(workspaces)})
    return {(period, Hour(workspace, start)): epoch for workspace, period, start, epoch in found.result_rows}

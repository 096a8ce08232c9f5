"""Compares the rollups of hours and days with what they are computed from, and recomputes those that differ."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.reconcile.stretches import (
    Marked,
    Stretch,
    chosen,
    differing,
    in_turn,
    name_of,
    on,
    stable_differences,
    stretches,
)
from runtime.addresses import dsn
from stream_workers.rollup.rollups import Hour, compute, recompute_after_removal
from stream_workers.rollup.statements import KEY, NUMBERS, of_days, of_hours

_COPIES = "SELECT workspace, hour AS at FROM feedback.feedback_hour_rows"
_HOURS = "SELECT workspace, toStartOfDay(start) AS at FROM feedback.rollup_rows WHERE period = 'hour'"
_DAY, _DAY_S = "toDateTime(toStartOfDay(start), 'UTC')", 86_400


def rollups(
    client: Client, url: str, scope: Scope, pause: Pause, progress: Progress, *, repair: bool
) -> Iterator[RowDifference]:
    """The hours, then the days, whose rollups differ; `repair` recomputes them."""
    for period, name in (("hour", "rows"), ("day", "hours")):
        look = partial(_look, client, scope, progress, period)
        differing_buckets = stable_differences(client, look, pause)
        found = RowDifference(f"rollups of {period}s that are not what their {name} come to")
        found.add([name_of(bucket) for bucket in differing_buckets])
        if repair and differing_buckets:
            _in_engine(url, lambda engine, hours=differing_buckets: compute(engine, hours))  # type: ignore[misc]
            with chosen(client, differing_buckets) as condition:
                still = [hour for marked in look(condition) for hour in marked]
            if still:
                # Wrong numbers may have too high a version: only a new epoch exceeds it.
                touch(url, still)
        yield found


def touch(url: str, hours: list[Hour]) -> None:
    """Recompute the rollups of hours whose rows have been removed or copied again."""
    _in_engine(url, lambda engine: recompute_after_removal(engine, hours))


def _look(client: Client, scope: Scope, progress: Progress, period: str, condition: str) -> Iterator[Marked]:
    made_of = _COPIES if period == "hour" else _HOURS
    made = f"SELECT workspace, start AS at FROM feedback.rollup_rows WHERE period = '{period}'"
    found = stretches(client, f"{made_of} UNION ALL {made}", condition, scope)
    for stretch in in_turn(found, f"rollups of {period}s compared", progress):
        yield differing(client, stretch, _comparison(stretch, period, condition))


def _comparison(stretch: Stretch, period: str, condition: str) -> str:
    """SQL for the buckets whose stored groups differ from the computed ones, each with a mark of the difference."""

    def within(time: str, at: str, seconds: int = 0) -> str:
        return f"{stretch.condition(time, seconds)} AND {on(condition, at)}"

    computed = f"SELECT workspace, {period} AS at, {KEY}, {NUMBERS} FROM ("
    computed += of_hours(within("hour", "hour")) if period == "hour" else of_days(within("start", _DAY, _DAY_S - 1))
    computed += ")"
    stored = (
        f"SELECT workspace, start AS at, dimension::String, environment::String, key, {NUMBERS}, -1"
        f" FROM feedback.rollups WHERE period = '{period}' AND {within('start', 'start')}"
    )
    return (
        f"SELECT workspace::String, toUnixTimestamp(at), sum(cityHash64({KEY}, {NUMBERS}, number)) FROM ("
        f"SELECT workspace, at, {KEY}, {NUMBERS}, sum(side) AS number FROM ("
        f"SELECT workspace, at, {KEY}, {NUMBERS}, 1 AS side FROM ({computed}) WHERE feedback_count > 0"
        f" UNION ALL {stored}) GROUP BY workspace, at, {KEY}, {NUMBERS} HAVING number != 0)"
        " GROUP BY workspace, at"
    )


def _in_engine(url: str, work: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        client = await clickhouse_connect.get_async_client(**dsn(url), autogenerate_session_id=False)
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(run())

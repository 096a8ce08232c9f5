"""Compares the rollups of hours and days with what they are computed from, and recomputes those that differ."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import clickhouse_connect
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.bucket_ranges import (
    BucketRange,
    Fingerprints,
    bucket_condition,
    bucket_name,
    bucket_ranges,
    differing_buckets,
    has_contested_copies,
    stable_differences,
    with_time_column,
)
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.removal import mutate
from runtime.addresses import dsn
from stream_workers.rollup.rollups import Hour, compute, recompute_after_removal
from stream_workers.rollup.statements import KEY, NUMBERS, day_rollups, hour_rollups

_COPIES = "SELECT workspace, hour AS at FROM feedback.feedback_hour_rows"
_HOURS = "SELECT workspace, toStartOfDay(start) AS at FROM feedback.rollup_rows WHERE period = 'hour'"
_DAY, _DAY_S = "toDateTime(toStartOfDay(start), 'UTC')", 86_400
_STRAY = f"start != if(period = 'day', {_DAY}, toDateTime(toStartOfHour(start), 'UTC'))"


def compare_rollups(
    client: Client, url: str, scope: Scope, pause: Pause, progress: Progress, *, repair: bool
) -> Iterator[RowDifference]:
    """Rollups of no hour or day, then the hours and the days whose rollups differ; `repair` recomputes them."""
    yield _stray_rollups(client, scope, progress, repair=repair)
    for period, name in (("hour", "rows"), ("day", "hours")):
        compare = partial(_compare, client, scope, progress, period)
        wrong = stable_differences(client, compare, pause)
        difference = RowDifference(f"rollups of {period}s that are not what their {name} come to")
        difference.add([bucket_name(bucket) for bucket in wrong])
        if repair and wrong:
            _run_async(url, lambda engine, hours=wrong: compute(engine, hours))  # type: ignore[misc]
            with bucket_condition(client, wrong) as condition:
                still_wrong = [hour for differing in compare(condition) for hour in differing]
            if still_wrong:
                # Wrong numbers may have too high a version: only a new epoch exceeds it.
                void_and_recompute(url, still_wrong)
        yield difference


def _stray_rollups(client: Client, scope: Scope, progress: Progress, *, repair: bool) -> RowDifference:
    """Rollups that begin within an hour or a day: no bucket is computed for them. `repair` removes them."""
    difference = RowDifference("rollups that begin within an hour or a day")
    where = f"{_STRAY} AND {scope.condition('start')}"
    found = client.query(
        f"SELECT DISTINCT workspace::String, toUnixTimestamp(start) FROM feedback.rollup_rows WHERE {where}",
        scope.parameters,
    ).result_rows
    difference.add([bucket_name(Hour(*each)) for each in found])
    if repair and found:
        mutate(client, {"rollup_rows": f"DELETE WHERE {where}"}, scope.parameters, progress)
    return difference


def void_and_recompute(url: str, hours: list[Hour]) -> None:
    """Recompute the rollups of hours whose rows have been removed or copied again."""
    _run_async(url, lambda engine: recompute_after_removal(engine, hours))


def _compare(client: Client, scope: Scope, progress: Progress, period: str, condition: str) -> Iterator[Fingerprints]:
    sources = _COPIES if period == "hour" else _HOURS
    rollups = f"SELECT workspace, start AS at FROM feedback.rollup_rows WHERE period = '{period}'"
    ranges = bucket_ranges(client, f"{sources} UNION ALL {rollups}", condition, scope)
    for buckets in progress.track(f"rollups of {period}s compared", ranges):
        may_be_contested = period == "hour" and has_contested_copies(client, buckets, condition)
        comparison = _comparison(buckets, period, condition, may_be_contested=may_be_contested)
        yield differing_buckets(client, buckets, comparison)


def _within(buckets: BucketRange, condition: str, time: str, column: str, seconds: int = 0) -> str:
    return f"{buckets.condition(time, seconds)} AND {with_time_column(condition, column)}"


def _comparison(buckets: BucketRange, period: str, condition: str, *, may_be_contested: bool) -> str:
    """SQL for the buckets whose stored groups differ from the computed ones, each with its fingerprint: how far
    the sums of their digests are apart."""
    within = partial(_within, buckets, condition)
    if period == "hour":
        rollups = hour_rollups(within("hour", "hour"), may_be_contested=may_be_contested)
    else:
        rollups = day_rollups(within("start", _DAY, _DAY_S - 1))
    computed = (
        f"SELECT workspace, {period} AS at, {KEY}, {NUMBERS}, true AS is_computed FROM ({rollups})"
        " WHERE feedback_count > 0"
    )
    stored = (
        f"SELECT workspace, start, dimension::String, environment::String, key, {NUMBERS}, false"
        f" FROM feedback.rollups WHERE period = '{period}' AND {within('start', 'start')}"
    )
    # The union comes first: it gives both sides the same types, on which the digests depend.
    return (
        "SELECT workspace::String, toUnixTimestamp(at),"
        " sumIf(content, is_computed) - sumIf(content, NOT is_computed) AS difference FROM ("
        f"SELECT workspace, at, is_computed, cityHash64({KEY}, {NUMBERS}) AS content"
        f" FROM ({computed} UNION ALL {stored}))"
        " GROUP BY workspace, at HAVING difference != 0"
    )


def _run_async(url: str, work: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        client = await clickhouse_connect.get_async_client(**dsn(url), autogenerate_session_id=False)
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(run())

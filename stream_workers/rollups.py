"""Hours and days computed anew from what is stored, inside ClickHouse.

Promises: what is written is absolute and carries the sum of the versions it was computed from, under the generation
that an erasure raises; one statement reads rows and versions together. Versions of stored rows only grow, so of two
computations the one that has read more has the higher version, whoever writes last.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from clickhouse_connect.driver.asyncclient import AsyncClient

COLUMNS = (
    "workspace, period, dimension, start, environment, key, feedback_count, joined_count,"
    " weight_sum, value_weight_sum, weight_value_squared_sum, value_counts, version"
)
_SETTINGS = {"async_insert": 0, "insert_deduplicate": 0, "min_insert_block_size_rows": 10_000_000}

# Beyond the reach of any sum of versions: 2^36 rows of 2^64 each.
_GENERATION = """
bitShiftLeft(toUInt128(ifNull(
    (SELECT toUInt64OrZero(anyLast(value)) FROM feedback.settings FINAL WHERE name = 'rollup_generation'), 0
)), 100)
"""
HOURS = """
SELECT
    workspace, 'hour' AS period, place.1 AS dimension, hour AS start, place.2 AS environment, place.3 AS key,
    countIf(NOT is_deleted) AS feedback_count,
    countIf(NOT is_deleted AND join_state = 'joined') AS joined_count,
    sumIf(toDecimal128(weight, 9), NOT is_deleted) AS weight_sum,
    sumIf(toDecimal128(weight, 9) * value, NOT is_deleted) AS value_weight_sum,
    sumIf(toDecimal128(weight, 9) * value * value, NOT is_deleted) AS weight_value_squared_sum,
    sumForEachIf(arrayMap(v -> toUInt64(v = value), range(-10, 11)), NOT is_deleted) AS value_counts,
    max(if(place.1 = 'bucket', sum(toUInt128(version)), 0)) OVER (PARTITION BY workspace, hour)
        + generation AS computed_from
FROM (
    SELECT *, arrayJoin(arrayConcat(
        [('bucket', '', '')],
        if(is_deleted, [], [
            ('all', _environment::String, ''), ('organisation', _environment::String, _organisation),
            ('prompt', _environment::String, _prompt), ('user', _environment::String, _user)
        ]),
        if(is_deleted, [], arrayMap(m -> ('model', _environment::String, m::String), if(empty(models), [''], models)))
    )) AS place
    FROM feedback.feedback_hour_rows FINAL
    WHERE {condition}
)
GROUP BY workspace, hour, place
"""
_DAY = """
SELECT
    workspace, 'day' AS period, dimension, toDateTime(toStartOfDay(start), 'UTC') AS day, environment, key,
    sum(feedback_count), sum(joined_count), sum(weight_sum), sum(value_weight_sum), sum(weight_value_squared_sum),
    sumForEach(value_counts),
    max(if(dimension = 'bucket', sum(version), 0)) OVER (PARTITION BY workspace, day) AS computed_from
FROM (
    SELECT *, max(version) OVER (PARTITION BY start) AS newest
    FROM feedback.rollup_rows FINAL
    WHERE workspace = {workspace:String} AND period = 'hour' AND start >= {start:DateTime} AND start < {end:DateTime}
)
WHERE version = newest
GROUP BY workspace, dimension, day, environment, key
"""


# The generation aside, a bucket's version is the sum of the versions of its rows.
_STALE = """
SELECT workspace, toUnixTimestamp(hour) FROM (
    SELECT workspace, hour, sum(toUInt128(version)) AS stored FROM feedback.feedback_hour_rows FINAL
    GROUP BY workspace, hour
) AS rows
LEFT JOIN (
    SELECT workspace, start AS hour, max(version) AS computed FROM feedback.rollup_rows
    WHERE period = 'hour' AND dimension = 'bucket' GROUP BY workspace, start
) AS rollups USING (workspace, hour)
WHERE stored != bitAnd(computed, bitShiftLeft(toUInt128(1), 100) - 1)
ORDER BY workspace, hour
"""


# An hour whose rows have all been erased has a bucket too, or what was computed before would stand.
_BUCKET = """
SELECT {workspace:String}, 'hour', 'bucket', {start:DateTime}, '', '', 0, 0, 0, 0, 0, [], generation AS computed_from
"""


class Hour(NamedTuple):
    """One bucket: a workspace's feedback created in the hour from `start`, Unix seconds."""

    workspace: str
    start: int

    @property
    def day(self) -> "Hour":
        """The first hour of its day."""
        return Hour(self.workspace, self.start - self.start % 86_400)


async def compute(client: AsyncClient, hours: Iterable[Hour]) -> None:
    """Write the rollups of these hours and of the days they lie in. Raises what the client raises; may be repeated."""
    hours = sorted(set(hours))
    for hour in hours:
        await client.command(
            f"INSERT INTO feedback.rollup_rows ({COLUMNS}) "
            + hours_query("workspace = {workspace:String} AND hour = {start:DateTime}")
            + "UNION ALL"
            + _BUCKET.replace("generation AS", f"{_GENERATION} AS"),
            parameters={"workspace": hour.workspace, "start": _time(hour.start)},
            settings=_SETTINGS,
        )
    for day in sorted({hour.day for hour in hours}):
        start = _time(day.start)
        await client.command(
            f"INSERT INTO feedback.rollup_rows ({COLUMNS}) {_DAY}",
            parameters={"workspace": day.workspace, "start": start, "end": start + timedelta(days=1)},
            settings=_SETTINGS,
        )


async def stale_hours(client: AsyncClient) -> list[Hour]:
    """Hours whose rollups were not computed from what is stored now."""
    return [Hour(*row) for row in (await client.query(_STALE)).result_rows]


def hours_query(condition: str) -> str:
    """A SELECT of COLUMNS that computes the hours whose rows meet the condition."""
    return HOURS.replace("{condition}", condition).replace("generation AS", f"{_GENERATION} AS")


def _time(unix_seconds: int) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)

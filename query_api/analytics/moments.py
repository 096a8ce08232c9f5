"""The moments of feedback, of which means and their errors are made, by bucket: from rows and rollups as planned."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from query_api.analytics.plan import Plan
from query_api.analytics.sources import LACKS, Number, by_bucket
from query_api.analytics.statistics import Moments
from query_api.analytics.time_buckets import Timeline
from query_api.clickhouse import Reader
from query_api.filters.parameters import LogFilters

# A weight has nine decimal places and so its square has eighteen: both fit into 38 digits.
_W = "toDecimal128(f.weight, 9)"
MOMENTS = {
    "n": Number("toUInt64(count())", "sum(r.feedback_count)"),
    "with_weight": Number("toUInt64(countIf(f.weight > 0))", "sum(r.weighted_count)"),
    "w_sum": Number(f"sum({_W})", "sum(r.weight_sum)"),
    "ww_sum": Number(f"sum({_W} * {_W})", "sum(r.squared_weight_sum)"),
    "vw_sum": Number(f"sum(f.value * {_W})", "sum(r.value_weight_sum)"),
    "vww_sum": Number(f"sum(f.value * ({_W} * {_W}))", "sum(r.value_squared_weight_sum)"),
    "vvww_sum": Number(f"sum((toInt32(f.value) * f.value) * ({_W} * {_W}))", "sum(r.squared_value_weight_sum)"),
}
_NAMES = tuple(MOMENTS)


def moments_of(row: Mapping[str, Any]) -> Moments:
    """Of a row that has MOMENTS."""
    return Moments(*(row[name] for name in _NAMES))


async def moments_over_time(
    reader: Reader, filters: LogFilters, when: Timeline, chosen: Plan
) -> tuple[dict[datetime, Moments], Plan]:
    """Moments by the start of their bucket, and the plan by which they were read."""
    rows, read = await by_bucket(reader, filters, when, chosen, MOMENTS | LACKS)
    return {start: moments_of(row) for start, row in rows}, read

"""Means of feedback with their standard errors and 95 % confidence intervals, by whatever rows are grouped by.

Sums of squares, which errors need, come from rows: rollups have none. Only where every weight is 1 do counts of values
tell as much.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from query_api.analytics_answers import At
from query_api.analytics_plan import Plan
from query_api.analytics_statistics import Estimate, Moments, avg, interval, weighted_mean
from query_api.analytics_sums import VALUES, Sums, sums_of_feedback
from query_api.analytics_time import Timeline
from query_api.engines import Reader
from query_api.filter_conditions import conditions_on_feedback, milliseconds
from query_api.log_filters import LogFilters

# A weight has nine decimal places and so its square has eighteen: both fit into 38 digits.
MOMENTS = """count() AS n, countIf(weight > 0) AS with_weight, sum(w) AS w_sum, sum(w * w) AS ww_sum,
    sum(value * w) AS vw_sum, sum(value * (w * w)) AS vww_sum, sum((value * value) * (w * w)) AS vvww_sum"""
"""The moments of rows of MOMENT_COLUMNS."""
MOMENT_COLUMNS = "toInt32(f.value) AS value, f.weight AS weight, toDecimal128(f.weight, 9) AS w"
MOMENT_NAMES = ("n", "with_weight", "w_sum", "ww_sum", "vw_sum", "vww_sum", "vvww_sum")


ReadFrom = Literal["rows", "rollups"]


class MeansWithErrors(BaseModel):
    """Both means with their standard errors and 95 % intervals. Null is what so little feedback cannot tell."""

    n: int = Field(description="Feedbacks.", examples=[120])
    n_with_weight: int = Field(description="Those of them whose weight is not 0.", examples=[118])
    avg: float | None = Field(description="Σ(value × weight) ÷ n.", examples=[1.5])
    avg_standard_error: float | None = Field(examples=[0.25])
    avg_low: float | None = Field(examples=[1.0])
    avg_high: float | None = Field(examples=[2.0])
    weighted_mean: float | None = Field(description="Σ(value × weight) ÷ Σ weight.", examples=[3.0])
    weighted_mean_standard_error: float | None = Field(examples=[0.5])
    weighted_mean_low: float | None = Field(examples=[2.0])
    weighted_mean_high: float | None = Field(examples=[4.0])


class MeansWithErrorsAt(MeansWithErrors, At):
    """The same of one bucket."""


def means_with_errors(group: Moments) -> dict[str, Any]:
    """The fields of MeansWithErrors."""

    def told(name: str, estimate: Estimate) -> dict[str, float | None]:
        low, high = interval(estimate)
        mean = None if estimate.mean is None else float(estimate.mean)
        return {
            name: mean, f"{name}_standard_error": estimate.standard_error, f"{name}_low": low, f"{name}_high": high
        }  # fmt: skip

    means = told("avg", avg(group)) | told("weighted_mean", weighted_mean(group))
    return {"n": group.n, "n_with_weight": group.with_weight, **means}


async def moments_over_time(
    reader: Reader, filters: LogFilters, when: Timeline, chosen: Plan
) -> tuple[dict[datetime, Moments], ReadFrom]:
    """Moments by the start of their bucket, and where they are read from."""
    sums = await sums_of_feedback(reader, filters, when, chosen)
    if all(each.weight == each.n for each in sums.values()):
        is_rows = all(piece.source == "rows" for piece in chosen.pieces)
        moments = {start: moments_of_whole_weights(each) for (start, _), each in sums.items()}
        return moments, "rows" if is_rows else "rollups"
    asked = conditions_on_feedback(filters, "f")
    query = f"""
    SELECT roundDown(toUnixTimestamp64Milli(created_at), {{cuts:Array(Int64)}}) AS cut, {MOMENTS}
    FROM (SELECT f.created_at AS created_at, {MOMENT_COLUMNS} FROM feedback.feedback AS f WHERE {asked.text})
    GROUP BY cut
    """
    rows = await reader.rows(query, asked.parameters | {"cuts": [milliseconds(cut) for cut in when.cuts]})
    start_of = dict(zip(map(milliseconds, when.cuts), when.starts, strict=True))
    return {start_of[row.pop("cut")]: Moments(*row.values()) for row in rows}, "rows"


def moments_of_whole_weights(sums: Sums) -> Moments:
    """The moments of feedback whose weights are all 1, from the counts of its values."""
    counts = list(zip(VALUES, sums.value_counts, strict=True))
    first = Decimal(sum(value * count for value, count in counts))
    second = Decimal(sum(value * value * count for value, count in counts))
    return Moments(sums.n, sums.n, Decimal(sums.n), Decimal(sums.n), first, first, second)

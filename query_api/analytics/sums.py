"""The numbers behind every graph of feedback: exact sums by bucket, and by model where asked, as a plan says.

Sums are decimals and counts, so they are the same wherever they come from; means are made of them at the end, each
rounded once.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from query_api.analytics.plan import Plan
from query_api.analytics.sources import GroupedBy, Number, by_bucket
from query_api.analytics.time_buckets import Timeline
from query_api.clickhouse import Reader
from query_api.filters.parameters import LogFilters

VALUES = range(-10, 11)

BY_MODEL = GroupedBy("f.models", "model", "ai_model")
"""Feedback counts under each model of its trace."""

_NUMBERS = {
    "n": Number("toUInt64(count())", "sum(r.feedback_count)"),
    "weight": Number("sum(f.weight)", "sum(r.weight_sum)"),
    "value_weight": Number("sum(f.value * f.weight)", "sum(r.value_weight_sum)"),
    "value_counts": Number(
        f"countResample({VALUES.start}, {VALUES.stop}, 1)(f.value)", "sumForEach(r.value_counts)", "sumForEach"
    ),
}


@dataclass(frozen=True)
class Sums:
    """What a group of feedback adds up to."""

    n: int = 0
    weight: Decimal = Decimal(0)
    value_weight: Decimal = Decimal(0)
    value_counts: tuple[int, ...] = (0,) * len(VALUES)

    def __add__(self, other: "Sums") -> "Sums":
        counts = (one + two for one, two in zip(self.value_counts, other.value_counts, strict=True))
        return Sums(self.n + other.n, self.weight + other.weight, self.value_weight + other.value_weight, tuple(counts))

    @property
    def signs(self) -> dict[str, int]:
        """How many values are above, of and below 0."""
        zero = VALUES.index(0)
        below, above = self.value_counts[:zero], self.value_counts[zero + 1 :]
        return {"positive": sum(above), "neutral": self.value_counts[zero], "negative": sum(below)}

    @property
    def avg(self) -> float | None:
        """Σ(value × weight) ÷ n, which Portkey calls average weighted feedback; None without feedback."""
        return float(Fraction(self.value_weight) / self.n) if self.n else None

    @property
    def weighted_mean(self) -> float | None:
        """Σ(value × weight) ÷ Σ weight; None where nothing has weight."""
        return float(Fraction(self.value_weight) / Fraction(self.weight)) if self.weight else None


async def sums_of_feedback(
    reader: Reader, filters: LogFilters, when: Timeline, chosen: Plan, *, by_model: bool = False
) -> tuple[dict[tuple[datetime, str], Sums], Plan]:
    """Sums by the start of their bucket and by model: "" where none is known, or where models are not asked. And the
    plan by which they were read."""
    rows, read = await by_bucket(reader, filters, when, chosen, _NUMBERS, BY_MODEL if by_model else None)
    return {
        (start, row["group_value"]): Sums(row["n"], row["weight"], row["value_weight"], tuple(row["value_counts"]))
        for start, row in rows
    }, read

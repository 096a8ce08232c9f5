"""The numbers behind every graph of feedback: exact sums by bucket, and by model where asked, as a plan says.

One query reads all pieces of a plan. Sums are decimals and counts, so they are the same wherever they come from; means
are made of them at the end, each rounded once.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from query_api.analytics_plan import Piece, Plan
from query_api.analytics_time import Timeline
from query_api.engines import Reader
from query_api.filter_conditions import Conditions, conditions_on_feedback, milliseconds
from query_api.log_filters import LogFilters

VALUES = range(-10, 11)

_COUNTS_OF_ROWS = ", ".join(f"countIf(value = {value})" for value in VALUES)
_MODELS = "arrayJoin(if(empty(models), [''], models))"


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
) -> dict[tuple[datetime, str], Sums]:
    """Sums by the start of their bucket and by model: "" where none is known, or where models are not asked."""
    query = Conditions([], {"cuts": [milliseconds(cut) for cut in when.cuts]})
    selects = []
    for source in ("rows", "hour", "day"):
        pieces = [piece for piece in chosen.pieces if piece.source == source]
        if pieces:
            select = _rows(query, filters, pieces, by_model) if source == "rows" else _rollups(
                query, filters, chosen, pieces, by_model
            )  # fmt: skip
            selects.append(select)
    text = f"""
    SELECT cut, model, sum(n), sum(weight), sum(value_weight), sumForEach(value_counts)
    FROM ({" UNION ALL ".join(selects)}) GROUP BY cut, model
    """
    found = [tuple(row.values()) for row in await reader.rows(text, query.parameters)]
    start_of = dict(zip(map(milliseconds, when.cuts), when.starts, strict=True))
    return {
        (start_of[cut], model): Sums(n, weight, sum_, tuple(counts)) for cut, model, n, weight, sum_, counts in found
    }


def _rows(query: Conditions, filters: LogFilters, pieces: list[Piece], by_model: bool) -> str:
    """The sums of feedback that is stored, by its own time."""
    asked = conditions_on_feedback(filters, "f")
    asked.parts.append(_within(query, pieces, "f.created_at", "fromUnixTimestamp64Milli({%s:Int64})", 1))
    query.parameters |= asked.parameters
    models = f"WHERE model IN {{{'ai_model'}:Array(String)}}" if by_model and "ai_model" in filters.texts else ""
    query.parameters |= {"ai_model": list(filters.texts["ai_model"])} if models else {}
    return f"""
    SELECT
        roundDown(toUnixTimestamp64Milli(created_at), {{cuts:Array(Int64)}}) AS cut, model,
        toUInt64(count()) AS n, sum(f.weight) AS weight, sum(f.value * f.weight) AS value_weight,
        CAST([{_COUNTS_OF_ROWS}], 'Array(UInt64)') AS value_counts
    FROM (
        SELECT created_at, value, weight, {_MODELS if by_model else "''"}::String AS model
        FROM feedback.feedback AS f WHERE {asked.text}
    ) AS f
    {models} GROUP BY cut, model
    """


def _rollups(query: Conditions, filters: LogFilters, chosen: Plan, pieces: list[Piece], by_model: bool) -> str:
    """The sums of whole hours or days."""
    period = pieces[0].source
    asked = Conditions(
        ["r.workspace = {workspace:String}", f"r.period = '{period}'", f"r.dimension = '{chosen.dimension}'"],
        {"workspace": filters.workspace},
    )
    asked.parts.append(_within(query, pieces, "r.start", "toDateTime({%s:UInt32}, 'UTC')", 1000))
    for column, lists in (("environment", chosen.environments), ("key", chosen.keys)):
        for number, values in enumerate(lists):
            name = f"rollup_{column}_{number}"
            asked.add(f"r.{column} IN {{{name}:Array(String)}}", **{name: list(values)})
    query.parameters |= asked.parameters
    return f"""
    SELECT
        roundDown(toInt64(toUnixTimestamp(r.start)) * 1000, {{cuts:Array(Int64)}}) AS cut,
        {"r.key" if by_model else "''"} AS model,
        sum(r.feedback_count) AS n, sum(r.weight_sum) AS weight, sum(r.value_weight_sum) AS value_weight,
        sumForEach(r.value_counts) AS value_counts
    FROM feedback.rollups AS r WHERE {asked.text} GROUP BY cut, model
    """


def _within(query: Conditions, pieces: list[Piece], column: str, instant: str, unit_ms: int) -> str:
    """That a time is inside one of the pieces."""
    parts = []
    for number, piece in enumerate(pieces):
        since, until = (f"{end}_{piece.source}_{number}" for end in ("since", "until"))
        query.parameters |= {since: milliseconds(piece.since) // unit_ms, until: milliseconds(piece.until) // unit_ms}
        parts.append(f"({column} >= {instant % since} AND {column} < {instant % until})")
    return " OR ".join(parts)

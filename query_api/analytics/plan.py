"""Where the numbers of a question are read from: from rollups as far as they know the answer, else from rows.

Pure. Rollups know whole UTC hours and days, by environment and one more dimension, or by environment, prompt and model.
So they serve a question that filters on nothing else, and whose buckets begin on whole hours; what is left at the ends,
and the latest hours, come from rows.
Promises that the pieces of a plan follow on each other, cover the timeline, and give the numbers that rows alone give.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from query_api.analytics.time_buckets import Timeline
from query_api.filters.conditions import said_of_requests
from query_api.filters.parameters import LogFilters

Source = Literal["rows", "hour", "day"]
Dimension = Literal["environment", "organisation", "prompt", "user", "model"]

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FRESH = HOUR
"""Rows are read from the start of the hour in which this ends, since an hour's rollups come some seconds after them."""

DIMENSION_OF: Mapping[str, Dimension] = {
    "organisation": "organisation", "prompt_slug": "prompt", "user": "user", "ai_model": "model",
    "environment": "environment",
    "_organisation": "organisation", "_prompt": "prompt", "_user": "user", "_environment": "environment",
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A stretch of time and what to read for it."""

    source: Source
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Plan:
    """The pieces, and what of the rollups' dimension and of their environment is asked: any value in each list. Nothing
    is asked of them where all pieces are rows.

    Of prompts by model, `keys` are prompts, and `models` are asked beside them.
    """

    pieces: tuple[Piece, ...]
    dimension: Dimension | Literal["all", "prompt_model"] = "all"
    keys: tuple[tuple[str, ...], ...] = ()
    models: tuple[tuple[str, ...], ...] = ()
    environments: tuple[tuple[str, ...], ...] = ()

    @property
    def read_from(self) -> Literal["rows", "rollups"]:
        """What an answer says of it."""
        return "rows" if all(piece.source == "rows" for piece in self.pieces) else "rollups"


def rows_alone(when: Timeline) -> Plan:
    """Everything from rows."""
    return Plan((Piece("rows", when.since, when.until),))


def plan(filters: LogFilters, when: Timeline, by: Dimension | None, now: datetime) -> Plan:
    """What to read for numbers by bucket, and by one dimension too if so asked."""
    rows = rows_alone(when)
    asked = _asked(filters)
    if asked is None or any(cut != _hour_of(cut) for cut in when.starts[1:]):
        return rows
    dimensions = {dimension for dimension, _ in asked} | ({by} if by else set())
    dimensions.discard("environment")
    is_of_pairs = dimensions == {"prompt", "model"}
    if len(dimensions) > 1 and not is_of_pairs:
        return rows
    values_of = {name: tuple(values for each, values in asked if each == name) for name in get_args(Dimension)}
    # A feedback on several models counts once, however many of them are asked for.
    if by != "model" and any(len(values) > 1 for values in values_of["model"]):
        return rows
    days = all(cut == _day_of(cut) for cut in when.starts[1:])
    pieces = _pieces(when.since, min(when.until, _hour_of(now - FRESH)), when.until, days)
    if all(piece.source == "rows" for piece in pieces):
        return rows
    environments = values_of["environment"]
    if is_of_pairs:
        return Plan(pieces, "prompt_model", values_of["prompt"], values_of["model"], environments)
    dimension = next(iter(dimensions), None)
    return Plan(pieces, dimension or "all", values_of[dimension] if dimension else (), (), environments)


def _asked(filters: LogFilters) -> list[tuple[Dimension, tuple[str, ...]]] | None:
    """What is asked of dimensions that rollups have; None where anything else is."""
    if (
        filters.ranges
        or filters.has_feedback is not None
        or any(name != "ai_model" for name in said_of_requests(filters))
    ):
        return None
    asked = [*filters.texts.items(), *((key, (text,)) for key, text in filters.metadata.items())]
    if not all(name in DIMENSION_OF for name, _ in asked):
        return None
    return [(DIMENSION_OF[name], values) for name, values in asked]


def _pieces(since: datetime, settled: datetime, until: datetime, days: bool) -> tuple[Piece, ...]:
    first_hour, last_hour = _rounded_up(since, HOUR), _hour_of(settled)
    cuts: list[tuple[Source, datetime]] = [("rows", since)]
    if first_hour < last_hour:
        cuts.append(("hour", first_hour))
        first_day, last_day = _rounded_up(since, DAY), _day_of(settled)
        if days and first_day < last_day:
            cuts += [("day", first_day), ("hour", last_day)]
        cuts.append(("rows", last_hour))
    ends = [*(start for _, start in cuts[1:]), until]
    return tuple(Piece(source, start, end) for (source, start), end in zip(cuts, ends, strict=True) if start < end)


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _day_of(at: datetime) -> datetime:
    return _hour_of(at).replace(hour=0)


def _rounded_up(at: datetime, unit: timedelta) -> datetime:
    whole = _hour_of(at) if unit == HOUR else _day_of(at)
    return whole if whole == at else whole + unit

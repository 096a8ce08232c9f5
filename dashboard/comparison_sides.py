"""Which two groups of feedback are compared: a time with the time before it, or two values of a field. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.page_query import SINCE, UNTIL, PageQuery
from runtime.times import parse_time

BEFORE = "before"
AGAINST = {
    BEFORE: "The time before",
    "prompt_slug": "Prompts",
    "ai_model": "Models",
    "environment": "Environments",
    "organisation": "Organisations",
}


@dataclass(frozen=True)
class Sides:
    """What the two are called, and how the API is asked for them."""

    current: str
    baseline: str
    asked: list[tuple[str, str]]


def against(query: PageQuery) -> str:
    """What is compared, of AGAINST."""
    asked = query.get("against", BEFORE)
    return asked if asked in AGAINST else BEFORE


def with_time_before(query: PageQuery, now: datetime) -> Sides:
    """This time and that of the same length which ends where it begins."""
    asked = query.for_api(now)
    times = dict(asked)
    since, until = times[SINCE], times[UNTIL]
    baseline = [(f"baseline_{SINCE}", _as_long_before(since, until)), (f"baseline_{UNTIL}", since)]
    return Sides(query.range_label, "The time before", [*asked, *baseline])


def _as_long_before(since: str, until: str) -> str:
    """When a time begins that ends at `since` and is as long; what is no time stays, for the API to refuse."""
    try:
        begin, end = (parse_time(each) for each in (since, until))
        return (begin - (end - begin)).isoformat()
    except (ValueError, OverflowError):
        return since


def two_values(query: PageQuery, now: datetime, field: str, values: Sequence[str]) -> Sides | None:
    """Two values of a field: those the address asks for, else the two most frequent; None where there are no two."""
    one = query.get("one") or next((each for each in values if each != query.get("other")), "")
    other = query.get("other") or next((each for each in values if each != one), "")
    if not one or not other:
        return None
    asked = without(query, field).for_api(now)
    return Sides(one, other, [*asked, (field, one), (f"baseline_{field}", other)])


def without(query: PageQuery, field: str) -> PageQuery:
    """The question without a filter on the field."""
    return PageQuery(tuple(each for each in query.items if each[0] != field))

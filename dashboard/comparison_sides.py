"""The two groups of feedback in a comparison: a time and the time before it, or two values of a field or of a metadata
key. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.group_fields import field_of, filter_of, key_of
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
    """The labels of both groups, and the parameters of the API for them."""

    current: str
    baseline: str
    asked: list[tuple[str, str]]


def against(query: PageQuery) -> str:
    """The kind of comparison: one of AGAINST, or `metadata.KEY`; any other name is a metadata key."""
    return field_of(query.get("against", BEFORE), AGAINST)


def with_time_before(query: PageQuery, now: datetime) -> Sides:
    """This time, and the time of the same length before it."""
    asked = query.for_api(now)
    times = dict(asked)
    since, until = times[SINCE], times[UNTIL]
    baseline = [(f"baseline_{SINCE}", _as_long_before(since, until)), (f"baseline_{UNTIL}", since)]
    return Sides(query.range_label, "The time before", [*asked, *baseline])


def _as_long_before(since: str, until: str) -> str:
    """The begin of the time of the same length before `since`. A text that is no time is kept; the API refuses it."""
    try:
        begin, end = (parse_time(each) for each in (since, until))
        return (begin - (end - begin)).isoformat()
    except (ValueError, OverflowError):
        return since


def two_values(query: PageQuery, now: datetime, field: str, values: Sequence[str]) -> Sides | None:
    """Two values of a field: those in the address, else the two most frequent; None if there are no two."""
    one = query.get("one") or next((each for each in values if each != query.get("other")), "")
    other = query.get("other") or next((each for each in values if each != one), "")
    if not one or not other:
        return None
    of_one, of_other = (_having(query, field, value).for_api(now) for value in (one, other))
    # The keys that both sides share are told of both: all of metadata is one parameter.
    differing = "metadata" if key_of(field) else field
    return Sides(one, other, [*of_one, (f"baseline_{differing}", dict(of_other)[differing])])


def _having(query: PageQuery, field: str, value: str) -> PageQuery:
    return without(query, field).set({filter_of(field): value})


def without(query: PageQuery, field: str) -> PageQuery:
    """The query without a filter on the field or the metadata key."""
    return PageQuery(tuple(each for each in query.items if each[0] != filter_of(field)))

"""Windows of time in which a page is sought, newest first: short while what came last may fill it, then ever longer.

Pure. A list is newest first and its rows are stored by time, so that most pages are found in minutes or hours of it,
however much there is. Windows follow on each other without a gap and never overlap.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from query_api.filters.cursors import Place
from query_api.filters.parameters import LogFilters

_LENGTHS = (timedelta(minutes=20), timedelta(hours=4), timedelta(days=2), timedelta(days=20))
# The traces of a window are looked up one by one where a filter is about their feedback.
_SHORT = (timedelta(minutes=2), *_LENGTHS)
_MILLISECOND = timedelta(milliseconds=1)


def windows(filters: LogFilters, place: Place | None, now: datetime) -> Iterator[LogFilters]:
    """The filters, confined to one window after the other; together they ask for what the filters do, after the place.

    What names traces or requests is found by its key, and so asked for at once.
    """
    until = filters.until
    if place:
        after_place = datetime(1970, 1, 1, tzinfo=UTC) + (place.at_ms + 1) * _MILLISECOND
        until = min(after_place, until) if until else after_place
    if "trace_id" in filters.texts or filters.request_ids:
        yield replace(filters, until=until)
        return
    begin = min(until, now) if until else now
    for length in _SHORT if filters.ask_about_feedback else _LENGTHS:
        begin -= length
        if filters.since and begin <= filters.since:
            break
        yield replace(filters, since=begin, until=until)
        until = begin
    yield replace(filters, until=until)

"""Windows of time in which a page is sought, newest first: short while what came last may fill it, then ever longer.

Pure. A list is newest first and its rows are stored by time, so that most pages are found in minutes or hours of it,
however much there is. Windows follow on each other without a gap and never overlap.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from query_api.filters.conditions import Amount
from query_api.filters.cursors import Place
from query_api.filters.parameters import LogFilters

FIRST = timedelta(minutes=20)
"""How long the first window is, which fills nearly every page."""
FIRST_OF_TRACES = timedelta(minutes=2)
"""The same where the traces of a window are looked up one by one."""
FIRST_BESIDE_ALL = timedelta(hours=6)
"""The same where something is read whole for each window, however short."""
_FEW_TRACES, _SOME_TRACES = timedelta(minutes=30), timedelta(days=1)
_LEAST_GROWTH, _MOST_GROWTH = 2.0, 40.0
# Where a window held nothing, one of fifty times its length hardly holds a page. ClickHouse stops reading once a page
# of requests is full, so a window too long costs less than one more statement; but not where traces are looked up.
_GROWTH_AFTER_NONE, _GROWTH_OF_TRACES_AFTER_NONE = 250.0, 12.0
_MARGIN = 1.5
_ALL_IN_WINDOWS = timedelta(days=20)
_MILLISECOND = timedelta(milliseconds=1)


class Windows:
    """The filters, confined to one window after the other; together they ask for what the filters do, after the place.

    What names traces or requests is found by its key, and so asked for at once.
    """

    traces: Amount = "many"
    """How many the latest window may hold."""

    def __init__(self, filters: LogFilters, place: Place | None, now: datetime, first: timedelta = FIRST) -> None:
        self.filters, self._now = filters, now
        self._first = first
        self._until = filters.until
        if place:
            after_place = datetime(1970, 1, 1, tzinfo=UTC) + (place.at_ms + 1) * _MILLISECOND
            self._until = min(after_place, filters.until) if filters.until else after_place
        self._growth = _GROWTH_AFTER_NONE
        self._adapted = 0
        self._is_named = False
        self._newest: datetime | None = None

    @property
    def look_traces_up(self) -> bool:
        """Whether long windows are much dearer than short ones."""
        return self._first == FIRST_OF_TRACES

    @property
    def have_just_begun(self) -> bool:
        """Whether the latest window was the first."""
        return self._adapted == 1

    def name_traces(self) -> None:
        """The traces of all that is left are known: it is found by their keys, and so asked for at once."""
        self._is_named = True

    def skip_to(self, newest: datetime) -> None:
        """Nothing is stored between the latest window and this time: go on from there as from the start."""
        self._newest = newest

    def adapt_to(self, found: int, missing: int) -> None:
        """The latest window held so many rows and so many are missing: the next is as long as it takes for these."""
        self._adapted += 1
        if found:
            self._growth = min(_MOST_GROWTH, max(_LEAST_GROWTH, _MARGIN * missing / found))
        else:
            looked_up = self.look_traces_up and self.traces == "few"
            self._growth = _GROWTH_OF_TRACES_AFTER_NONE if looked_up else _GROWTH_AFTER_NONE

    def __iter__(self) -> Iterator[LogFilters]:
        filters, until = self.filters, self._until
        begin = newest = min(until, self._now) if until else self._now
        length = self._first
        is_found_by_key = "trace_id" in filters.texts or filters.request_ids
        while not is_found_by_key and max(length, newest - begin) < _ALL_IN_WINDOWS:
            if filters.since and begin - length <= filters.since:
                self.traces = _amount(begin - filters.since)
                break
            self.traces = _amount(length)
            begin -= length
            yield replace(filters, since=begin, until=until)
            until, length = begin, length * self._growth
            self.traces = "named" if self._is_named else "many"
            if self._is_named:
                break
            if self._newest:
                begin = until = newest = self._newest + _MILLISECOND
                self._newest, length = None, self._first
        yield replace(filters, until=until)


def _amount(length: timedelta) -> Amount:
    if length > _SOME_TRACES:
        return "many"
    return "some" if length > _FEW_TRACES else "few"

"""Windows of time ask together for what the filters ask for, each moment once, newest first."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from query_api.filters.conditions import milliseconds
from query_api.filters.cursors import Place
from query_api.filters.parameters import LogFilters
from query_api.reading.time_windows import FIRST_OF_TRACES, Windows

NOW = datetime(2026, 11, 29, 12, 0, 0, 123_000, UTC)
TIMES = st.one_of(st.none(), st.integers(-70 * 86_400_000, 3_600_000).map(lambda ms: NOW + timedelta(milliseconds=ms)))


@given(
    since=TIMES,
    until=TIMES,
    place=TIMES,
    at=TIMES.filter(lambda at: at is not None),
    held=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 51)), max_size=30),
)
def test_each_moment_that_is_asked_for_lies_in_one_window(
    since: datetime | None, until: datetime | None, place: datetime | None, at: datetime, held: list[tuple[int, int]]
) -> None:
    filters = LogFilters("w", since=since, until=until)
    after = Place(milliseconds(place), UUID(int=0)) if place else None
    asked = (since is None or at >= since) and (until is None or at < until) and (place is None or at <= place)
    windows, found = Windows(filters, after, NOW), []
    for window in windows:
        found.append(window)
        if len(found) <= len(held):
            windows.adapt_to(*held[len(found) - 1])
    assert len(found) < 20
    holding = [each for each in found if _holds(each, at)]
    assert len(holding) == asked
    ends = [each.until for each in found if each.until]
    assert ends == sorted(ends, reverse=True)


def test_what_names_traces_or_requests_is_asked_for_at_once() -> None:
    for filters in (LogFilters("w", texts={"trace_id": ("t",)}), LogFilters("w", request_ids=(UUID(int=1),))):
        assert list(Windows(filters, None, NOW)) == [filters]


def test_the_first_window_is_short_and_has_no_end_of_its_own() -> None:
    first = next(iter(Windows(LogFilters("w"), None, NOW)))
    assert first.until is None
    assert first.since
    assert NOW - first.since < timedelta(hours=1)


def test_a_window_is_as_long_as_the_one_before_lets_expect() -> None:
    def second(found: int, missing: int) -> timedelta:
        windows = Windows(LogFilters("w"), None, NOW)
        each = iter(windows)
        first = next(each).since
        windows.adapt_to(found, missing)
        since = next(each).since
        assert first
        assert since
        return first - since

    assert second(10, 40) == timedelta(minutes=120)
    assert second(50, 1) == timedelta(minutes=40)
    assert second(1, 50) == timedelta(minutes=800)
    assert second(0, 51) == timedelta(minutes=5000), "or it would hold no page either"


def test_after_days_without_a_row_all_that_is_left_is_asked_for_at_once() -> None:
    windows, asked = Windows(LogFilters("w"), None, NOW), []
    for window in windows:
        asked.append(window.since)
        windows.adapt_to(0, 51)
    assert asked == [NOW - timedelta(minutes=20), NOW - timedelta(minutes=5020), None]


def test_what_is_looked_up_by_trace_begins_with_few_traces() -> None:
    def amounts(since: timedelta | None = None) -> list[str]:
        windows = Windows(LogFilters("w", since=NOW - since if since else None), None, NOW, FIRST_OF_TRACES)
        found = []
        for _ in windows:
            found.append(windows.traces)
            windows.adapt_to(0, 51)
        return found

    assert amounts() == ["few", "few", "some", "many"]
    assert amounts(timedelta(minutes=1)) == ["few"]
    assert amounts(timedelta(hours=1)) == ["few", "few", "some"]


def test_time_in_which_nothing_came_is_skipped_and_windows_are_short_again() -> None:
    windows, newest = Windows(LogFilters("w"), None, NOW, FIRST_OF_TRACES), NOW - timedelta(hours=5)
    each = iter(windows)
    next(each)
    windows.adapt_to(0, 51)
    assert windows.have_just_begun
    windows.skip_to(newest)
    second = next(each)
    assert _holds(second, newest)
    assert second.since == newest + timedelta(milliseconds=1) - FIRST_OF_TRACES
    assert windows.traces == "few"
    windows.adapt_to(51, 0)
    assert not windows.have_just_begun
    assert next(each).until == second.since


def test_what_is_left_is_asked_for_at_once_when_its_traces_are_named() -> None:
    windows = Windows(LogFilters("w", since=NOW - timedelta(days=300)), None, NOW, FIRST_OF_TRACES)
    first, *others = _named_after_the_first(windows)
    assert [(each.since, each.until) for each in others] == [(NOW - timedelta(days=300), first.since)]
    assert windows.traces == "named"


def _named_after_the_first(windows: Windows) -> Iterator[LogFilters]:
    for window in windows:
        yield window
        windows.adapt_to(0, 51)
        windows.name_traces()


def _holds(window: LogFilters, at: datetime) -> bool:
    return (window.since is None or at >= window.since) and (window.until is None or at < window.until)

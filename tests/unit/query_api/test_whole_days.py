"""Which whole days of a time can be kept, and what of the time is beside them."""

from datetime import UTC, date, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from query_api.analytics.request_days import DAY, KeyOfRequests, time_beside, whole_days

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OF = KeyOfRequests("w", "plan", "r.plan")
MOMENTS = st.datetimes(datetime(2026, 10, 1), datetime(2026, 12, 1)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000, tzinfo=UTC)
)


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@given(st.lists(MOMENTS, min_size=2, max_size=2, unique=True), st.sets(st.integers(0, 70)))
def test_the_days_and_the_time_beside_them_are_the_whole_time_and_no_moment_twice(
    ends: list[datetime], chosen: set[int]
) -> None:
    since, until = sorted(ends)
    days = whole_days(OF, since, until, NOW)
    kept = [day for number, day in enumerate(days.each() if days else []) if number in chosen]
    intervals = [*time_beside(kept, since, until), *((start_of(day), start_of(day) + DAY) for day in kept)]
    intervals.sort()
    assert all(first < last for first, last in intervals)
    assert [first for first, _ in intervals] == [since, *(last for _, last in intervals[:-1])]
    assert intervals[-1][1] == until


@given(st.lists(MOMENTS, min_size=2, max_size=2, unique=True))
def test_a_day_that_has_just_ended_is_not_kept(ends: list[datetime]) -> None:
    days = whole_days(OF, min(ends), max(ends), NOW)
    assert all(start_of(day) + DAY <= NOW - timedelta(hours=6) for day in (days.each() if days else []))


def test_no_more_than_four_hundred_days_are_kept_the_latest() -> None:
    days = whole_days(OF, datetime(2001, 1, 1, tzinfo=UTC), NOW, NOW)
    assert days
    assert len(days.each()) == 400
    assert days.each()[-1] == date(2026, 11, 19)


def test_all_of_a_time_may_be_kept() -> None:
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    days = whole_days(OF, since, until, NOW)
    assert days
    assert time_beside(days.each(), since, until) == []

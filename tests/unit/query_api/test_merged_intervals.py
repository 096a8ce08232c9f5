"""The intervals of time in which the groups of a page are looked for again."""

from datetime import UTC, datetime, timedelta

from query_api.analytics.feedback_of_groups import merged_intervals

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def hours(*ends: int) -> tuple[datetime, datetime]:
    first, last = (DAY + timedelta(hours=end) for end in ends)
    return first, last


def test_groups_far_apart_are_looked_for_where_each_was_seen() -> None:
    assert merged_intervals([hours(700, 710), hours(0, 1), hours(300, 300)]) == [
        hours(0, 1), hours(300, 300), hours(700, 710)
    ]  # fmt: skip


def test_groups_that_overlap_are_one_interval_until_the_last_of_them_ends() -> None:
    assert merged_intervals([hours(0, 90), hours(10, 20), hours(90, 100)]) == [hours(0, 100)]


def test_a_page_of_a_thousand_groups_has_a_hundred_and_one_intervals_at_most() -> None:
    seen = [hours(10 * n, 10 * n) for n in range(1000)]
    found = merged_intervals(seen)
    assert len(found) <= 101
    assert all(any(first <= at <= last for first, last in found) for at, _ in seen)


def test_groups_of_one_instant_are_one_interval() -> None:
    assert merged_intervals([hours(5, 5), hours(5, 5)]) == [hours(5, 5)]

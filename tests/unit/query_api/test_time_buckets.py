"""Buckets are the hours, days, weeks and months that a zone's people count, also where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.analytics.time_buckets import BUCKETS, Bucket, bucket_of, timeline, zone_of
from runtime.http_errors import ApiError

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Havana",
    "Pacific/Apia",
    "Asia/Beirut",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def starts(since: str, until: str, bucket: Bucket, zone: str) -> list[datetime]:
    return list(timeline(at(since), at(until), bucket, zone_of(zone)).starts)


@pytest.mark.parametrize(("date", "hours"), [("2026-10-25", 25), ("2026-03-29", 23), ("2026-10-24", 24)])
def test_a_day_on_which_clocks_change_has_its_own_number_of_hours(date: str, hours: int) -> None:
    zone = zone_of("Europe/Berlin")
    noon = datetime.fromisoformat(f"{date}T12:00:00").replace(tzinfo=zone).astimezone(UTC)
    first, second = timeline(noon, noon + timedelta(days=1), "day", zone).starts
    assert second - first == timedelta(hours=hours)
    assert len(timeline(first, second, "hour", zone).starts) == hours


def test_hours_of_a_zone_that_moves_by_half_an_hour_follow_its_clocks() -> None:
    found = starts("2026-04-04T13:00Z", "2026-04-04T17:00Z", "hour", "Australia/Lord_Howe")
    assert found == [at(f"2026-04-04T{hour}Z") for hour in ("13:00", "14:00", "15:30", "16:30")]


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("day", ["2026-01-30T23:00Z", "2026-01-31T23:00Z", "2026-02-01T23:00Z"]),
        ("week", ["2026-01-25T23:00Z", "2026-02-01T23:00Z"]),
        ("month", ["2025-12-31T23:00Z", "2026-01-31T23:00Z"]),
    ],
)
def test_buckets_begin_by_the_zones_calendar(bucket: Bucket, expected: list[str]) -> None:
    found = starts("2026-01-31T10:00Z", "2026-02-02T00:00Z", bucket, "Europe/Berlin")
    assert found == [at(text) for text in expected]


def test_a_range_that_ends_with_a_bucket_does_not_touch_the_next() -> None:
    assert starts("2026-01-01T00:00Z", "2026-01-02T00:00Z", "day", "UTC") == [at("2026-01-01T00:00Z")]


def test_a_date_that_a_zone_has_skipped_has_no_bucket() -> None:
    found = starts("2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00", "day", "Pacific/Apia")
    assert len(found) == 2


@given(
    since=st.datetimes(datetime(2000, 1, 3), datetime(2040, 1, 1), timezones=st.just(UTC)),
    length=st.integers(1, 60 * 86_400_000),
    bucket=st.sampled_from(BUCKETS),
    zone=st.sampled_from(ZONES),
)
def test_buckets_follow_on_each_other_and_cover_the_range(since: datetime, length: int, bucket: Any, zone: str) -> None:
    until = since + timedelta(milliseconds=length / {"minute": 60, "10_minutes": 6}.get(bucket, 1))
    found = timeline(since, until, bucket, zone_of(zone))
    assert found.starts[0] <= since < (found.starts[1:] or (until,))[0]
    assert found.starts[-1] < until
    longest = {"minute": 1 / 60, "10_minutes": 1 / 6, "hour": 1.5, "day": 49, "week": 193, "month": 745}[bucket]
    assert all(timedelta(0) < end - start <= timedelta(hours=longest) for start, end in pairwise(found.starts))
    local = [start.astimezone(zone_of(zone)) for start in found.starts]
    whole = {"minute": 1, "10_minutes": 10}.get(bucket, 60)
    assert all(each.minute % whole == each.second == each.microsecond == 0 for each in local)
    assert bucket != "week" or all(each.weekday() == 0 for each in local)
    assert bucket != "month" or all(each.day == 1 for each in local)


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(1, "hour"), (3, "hour"), (3.01, "day"), (92, "day"), (93, "week"), (731, "week"), (732, "month")],
)
def test_without_a_choice_the_bucket_suits_the_range(days: float, bucket: str) -> None:
    since = at("2026-01-01T00:00Z")
    assert bucket_of(None, since, since + timedelta(days=days)) == bucket


def test_what_makes_no_buckets_is_refused_by_name() -> None:
    since, until = at("2026-01-01T00:00Z"), at("2026-06-01T00:00Z")
    for refused, param in (
        (lambda: bucket_of("year", since, until), "bucket"),
        (lambda: timeline(since, until, "hour", zone_of("UTC")), "bucket"),
        *((lambda name=name: zone_of(name), "time_zone") for name in ("Europe/Bonn", "Europe", "../UTC", "", "\0")),
    ):
        with pytest.raises(ApiError) as error:
            refused()  # type: ignore[no-untyped-call]
        assert error.value.param == param

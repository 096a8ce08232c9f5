"""Times as text, and back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.times import parse_time, rfc3339, rfc3339_of, to_the_minute, unix_ms

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(2099, 12, 30), timezones=ZONES)


@given(st.integers(0, 4_102_444_799_999))
def test_milliseconds_written_and_read_are_the_same_milliseconds(at_ms: int) -> None:
    assert unix_ms(parse_time(rfc3339(at_ms))) == at_ms


@given(TIMES)
def test_both_ways_of_writing_agree_and_leave_out_what_is_less_than_a_millisecond(at: datetime) -> None:
    assert rfc3339_of(at) == rfc3339(unix_ms(at))
    assert timedelta(0) <= at - parse_time(rfc3339_of(at)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31t12:00z", "2026-01-31 12:00", "2026-01-31T14:00:00.000+02:00"]
)
def test_a_time_is_read_in_its_zone_or_in_utc(text: str) -> None:
    assert parse_time(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "now", "2026-02-30", "1769860800", "12:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_messages_tell_the_minute_in_utc() -> None:
    assert to_the_minute(datetime(2026, 1, 31, 14, 5, 59, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-31T12:05Z"

"""Charts and zones of the dashboard, out of what the API and the browser tell."""

import pytest
from starlette.requests import Request

from dashboard.time_chart import FOR_MEANS, bucket_for, fields_over_time, signs_over_time
from dashboard.viewer_zone import zone_of


def test_bars_by_sign_stand_on_each_other_and_tell_their_own_counts() -> None:
    points = [
        {"timestamp": f"2026-11-01T0{hour}:00:00Z", "total": 6, "positive": 3, "neutral": 2, "negative": hour}
        for hour in (1, 2)
    ]
    summary = {"total": 13, "positive": 6, "neutral": 4, "negative": 3}
    chart = signs_over_time({"data_points": points, "bucket": "hour", "summary": summary})
    assert [(each["name"], each["values"], each["tops"], each["whole"]) for each in chart["series"]] == [
        ("Positive", [3, 3], [6, 7], 6), ("Neutral", [2, 2], [3, 4], 4), ("Negative", [1, 2], [1, 2], 3)
    ]  # fmt: skip
    assert chart["bucket_s"] == 3600


@pytest.mark.parametrize(
    ("until", "bucket"),
    [("2026-11-01T03:00:00Z", "minute"), ("2026-11-02T12:00:00Z", "10_minutes"), ("2026-11-08T00:00:01Z", "hour")],
)
def test_a_count_has_bars_of_minutes_or_hours_up_to_a_week(until: str, bucket: str) -> None:
    assert bucket_for("2026-11-01T00:00:00Z", until) == [("bucket", bucket)]


def test_for_longer_times_and_for_means_the_api_chooses() -> None:
    assert bucket_for("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z") == []
    assert bucket_for("2026-11-01T00:00:00Z", "2026-11-08T00:00:00Z", FOR_MEANS) == []
    assert bucket_for("yesterday", "2026-12-01T00:00:00Z") == []


def test_cents_are_drawn_as_dollars_and_a_missing_value_stays_missing() -> None:
    points = [{"timestamp": f"2026-11-0{day}T00:00:00Z", "total": cents} for day, cents in ((1, 250), (2, None))]
    chart = fields_over_time(
        {"data_points": points, "bucket": "day", "summary": {"total": 250}}, {"Cost": "total"}, {}, "dollars"
    )
    assert chart["series"][0]["values"] == [2.5, None]
    assert chart["series"][0]["whole"] == 2.5
    assert chart["series"][0]["unit"] == "dollars"


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [
        ("", "UTC"),
        ("feedback_zone=Europe%2FBerlin", "Europe/Berlin"),
        ("feedback_zone=..%2F..%2Fetc%2Fpasswd", "UTC"),
        ("feedback_zone=%2Fetc%2Fpasswd", "UTC"),
        ("feedback_zone=Mars", "UTC"),
        (f"feedback_zone={'x' * 65}", "UTC"),
        ("feedback_zone=Europe%2FBerlin%00", "UTC"),
        ("feedback_zone=Europe", "UTC"),
    ],
)
def test_days_begin_in_the_zone_that_the_browser_tells_if_there_is_one(cookie: str, zone: str) -> None:
    request = Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})
    assert zone_of(request) == zone

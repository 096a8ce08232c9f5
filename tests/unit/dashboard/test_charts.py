"""Charts and zones of the dashboard, out of what the API and the browser tell."""

import pytest
from starlette.requests import Request

from dashboard.time_chart import signs_over_time
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

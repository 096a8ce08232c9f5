"""Stretches of time as people count them: the minutes, hours, days, weeks and months of a time zone.

Pure. The borders are instants, found by the zone's calendar, so that a day on which clocks change has 23 or 25 hours
and an hour that comes twice is two hours. Whatever is counted between borders is counted by instants alone.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import gcd
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from runtime.http_errors import ApiError

Bucket = Literal["minute", "10_minutes", "hour", "day", "week", "month"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)
MAX_POINTS = 2000
_MOST_NAME_CHARS = 64

_MINUTES: Mapping[Bucket, int] = {"minute": 1, "10_minutes": 10, "hour": 60}
_DAYS: Mapping[Bucket, int] = {"day": 1, "week": 7, "month": 28}
_OFFSET_MINUTES = 15
"""Every offset from UTC since 2000 is a multiple of this."""
_UP_TO: tuple[tuple[timedelta, Bucket], ...] = (
    (timedelta(days=3), "hour"), (timedelta(days=92), "day"), (timedelta(days=731), "week"),
)  # fmt: skip


@dataclass(frozen=True)
class Timeline:
    """`starts` are those of whole buckets; what is counted begins at `since` and ends before `until`."""

    since: datetime
    until: datetime
    starts: tuple[datetime, ...]

    @property
    def cuts(self) -> tuple[datetime, ...]:
        """Where counting begins in each bucket: its start, but `since` in the first."""
        return (self.since, *self.starts[1:])


def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone; ApiError where there is none of the name."""
    # The longest there is has 32 characters; the zone's name is a path, which is looked for step by step.
    if len(name) <= _MOST_NAME_CHARS:
        with contextlib.suppress(ValueError, OSError, KeyError):
            return ZoneInfo(name)
    raise ApiError(f"time_zone must be an IANA name such as Europe/Berlin, got {name[:60]!r}", "time_zone")


def bucket_of(name: str | None, since: datetime, until: datetime) -> Bucket:
    """The bucket asked for, or what suits the range: hours up to 3 days, days up to 92, weeks up to two years."""
    if name is None:
        return next((bucket for most, bucket in _UP_TO if until - since <= most), "month")
    bucket = next((each for each in BUCKETS if each == name), None)
    if bucket is None:
        raise ApiError(f"bucket must be one of {', '.join(BUCKETS)}, got {name[:60]!r}", "bucket")
    return bucket


def timeline(since: datetime, until: datetime, bucket: Bucket, zone: ZoneInfo) -> Timeline:
    """All buckets that [since, until) touches; ApiError where they are too many for one answer."""
    minutes = _MINUTES.get(bucket)
    shortest = timedelta(minutes=minutes) if minutes else timedelta(days=_DAYS[bucket])
    if (until - since) / shortest > MAX_POINTS:
        raise ApiError(f"bucket must be coarser: {bucket} makes more than {MAX_POINTS} points here", "bucket")
    starts = _by_clock(since, until, minutes, zone) if minutes else _dates(since, until, bucket, zone)
    first = max(start for start in starts if start <= since)
    return Timeline(since, until, tuple(start for start in starts if first <= start < until))


def _by_clock(since: datetime, until: datetime, minutes: int, zone: ZoneInfo) -> list[datetime]:
    """Every instant at which the zone's clocks show a multiple of so many minutes, from before `since` on."""
    at = since.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    step = timedelta(minutes=gcd(minutes, _OFFSET_MINUTES))
    starts = []
    while at < until:
        if at.astimezone(zone).minute % minutes == 0:
            starts.append(at)
        at += step
    return starts


def _dates(since: datetime, until: datetime, bucket: Bucket, zone: ZoneInfo) -> list[datetime]:
    """The first instant of every day, week or month from before `since` on."""
    day = _first_day(since.astimezone(zone).date() - timedelta(days=1), bucket)
    starts: list[datetime] = []
    while (start := datetime.combine(day, time(), zone).astimezone(UTC)) < until:
        # A date that a zone has skipped begins when the next one does.
        if not starts or start > starts[-1]:
            starts.append(start)
        day = _first_day(day + timedelta(days={"day": 1, "week": 7}.get(bucket, 31)), bucket)
    return starts


def _first_day(day: date, bucket: Bucket) -> date:
    if bucket == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if bucket == "week" else day

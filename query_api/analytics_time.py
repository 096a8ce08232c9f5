"""Stretches of time as people count them: the hours, days, weeks and months of a time zone.

Pure. The borders are instants, found by the zone's calendar, so that a day on which clocks change has 23 or 25 hours
and an hour that comes twice is two hours. Whatever is counted between borders is counted by instants alone.
"""

import contextlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from query_api.answers import QueryError

Bucket = Literal["hour", "day", "week", "month"]
BUCKETS: tuple[Bucket, ...] = get_args(Bucket)
MAX_POINTS = 2000
_MOST_NAME_CHARS = 64

# Every offset from UTC since 2000 is a multiple of this.
_STEP = timedelta(minutes=15)
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
    """The IANA time zone; QueryError where there is none of the name."""
    # The longest there is has 32 characters; the zone's name is a path, which is looked for step by step.
    if len(name) <= _MOST_NAME_CHARS:
        with contextlib.suppress(ValueError, OSError, KeyError):
            return ZoneInfo(name)
    raise QueryError(f"time_zone must be an IANA name such as Europe/Berlin, got {name[:60]!r}", "time_zone")


def bucket_of(name: str | None, since: datetime, until: datetime) -> Bucket:
    """The bucket asked for, or what suits the range: hours up to 3 days, days up to 92, weeks up to two years."""
    if name is None:
        return next((bucket for most, bucket in _UP_TO if until - since <= most), "month")
    bucket = next((each for each in BUCKETS if each == name), None)
    if bucket is None:
        raise QueryError(f"bucket must be one of {', '.join(BUCKETS)}, got {name[:60]!r}", "bucket")
    return bucket


def timeline(since: datetime, until: datetime, bucket: Bucket, zone: ZoneInfo) -> Timeline:
    """All buckets that [since, until) touches; QueryError where they are too many for one answer."""
    days = (until - since) / timedelta(days=1)
    if days / {"hour": 1 / 24, "day": 1, "week": 7, "month": 28}[bucket] > MAX_POINTS:
        raise QueryError(f"bucket must be coarser: so many {bucket}s are more than {MAX_POINTS} points", "bucket")
    starts = _hours(since, until, zone) if bucket == "hour" else _dates(since, until, bucket, zone)
    first = max(start for start in starts if start <= since)
    return Timeline(since, until, tuple(start for start in starts if first <= start < until))


def _hours(since: datetime, until: datetime, zone: ZoneInfo) -> list[datetime]:
    """Every instant at which the zone's clocks show a whole hour, from before `since` on."""
    at = since.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    starts = []
    while at < until:
        if at.astimezone(zone).minute == 0:
            starts.append(at)
        at += _STEP
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

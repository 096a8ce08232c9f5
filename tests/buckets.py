"""Buckets of time for tests that try any range: none that makes more points than an answer may have."""

from datetime import datetime, timedelta

from query_api.analytics.time_buckets import MAX_POINTS, Bucket

_SHORT: dict[Bucket, timedelta] = {"minute": timedelta(minutes=1), "10_minutes": timedelta(minutes=10)}


def coarse_enough(bucket: Bucket, since: datetime, until: datetime) -> Bucket:
    """This bucket, or hours where it is too short for the range."""
    return "hour" if bucket in _SHORT and (until - since) / _SHORT[bucket] > MAX_POINTS else bucket

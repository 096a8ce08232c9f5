"""Compares the copy of feedback by hour with the rows, and copies hours again that differ."""

from collections.abc import Iterator
from functools import partial

from clickhouse_connect.driver.client import Client

from operations.progress import Progress
from operations.reconcile.bucket_ranges import (
    BucketRange,
    Fingerprints,
    bucket_condition,
    bucket_name,
    bucket_ranges,
    differing_buckets,
    has_contested_copies,
    stable_differences,
    with_time_column,
)
from operations.reconcile.differences import Pause, RowDifference, Scope
from operations.reconcile.snapshot import SETTINGS, partitions, working_table
from operations.removal import mutate
from operations.retention import read_setting
from stream_workers.rollup.hour_rows import HOUR_COLUMNS, hour_copies, with_current_flag
from stream_workers.rollup.rollups import Hour

_HOUR = "toDateTime(toStartOfHour(created_at), 'UTC')"
_CONTENT = (
    "cityHash64(feedback_id, version, value, weight, join_state, model::String, model_number, model_count,"
    " _user, _organisation, _prompt, _environment::String)"
)


def hours_copied_wrong(
    client: Client, scope: Scope, pause: Pause, progress: Progress
) -> tuple[RowDifference, list[Hour]]:
    """The hours whose copy differs from the rows. Raises what the client raises."""
    found = stable_differences(client, partial(_compare, client, scope, progress), pause)
    difference = RowDifference("hours whose feedback_hour_rows are not as feedback_rows")
    difference.add([bucket_name(hour) for hour in found])
    return difference, found


def copy_again(client: Client, hours: list[Hour], progress: Progress) -> None:
    """Copy these hours again. The caller has to invalidate their rollups, as after a removal."""
    with bucket_condition(client, hours) as condition:
        of_hours = with_time_column(condition, "hour")
        replaced = f"{of_hours} AND {_must_have_row(with_time_column(condition, _HOUR), _expired_before(client))}"
        mutate(client, {"feedback_hour_rows": f"DELETE WHERE {replaced}"}, {}, progress)
        # Insert all rows, tombstones too, then the current rows again: among rows of one version the last one wins.
        not_removed = f"{of_hours} AND join_state != 'expired'"
        for rows in ("feedback.feedback_rows", "feedback.feedback_rows FINAL"):
            client.command(
                f"INSERT INTO feedback.feedback_hour_rows ({HOUR_COLUMNS}) {hour_copies(rows, not_removed)}",
                settings=SETTINGS,
            )


def _compare(client: Client, scope: Scope, progress: Progress, condition: str) -> Iterator[Fingerprints]:
    """Read the rows once into a working table by hour, and compare the copies with it."""
    of_hours = with_time_column(condition, "hour")
    columns = "workspace String, at DateTime('UTC'), content UInt64, number UInt64"
    with working_table(client, columns, "(workspace, at)") as by_hour:
        _load(client, by_hour, scope, of_hours, progress)
        copied = "SELECT workspace::String, hour AS at FROM feedback.feedback_hour_rows"
        ranges = bucket_ranges(client, f"SELECT workspace, at FROM {by_hour} UNION ALL {copied}", condition, scope)
        expired_before = _expired_before(client)
        for buckets in progress.track("copies by hour compared", ranges):
            must_have_row = _must_have_row(buckets.condition(_HOUR), expired_before, buckets.since)
            copies = with_current_flag(
                f"{buckets.condition('hour')} AND {of_hours}",
                may_be_contested=has_contested_copies(client, buckets, condition),
            )
            yield differing_buckets(client, buckets, _comparison(by_hour, buckets, copies, must_have_row))


def _load(client: Client, by_hour: str, scope: Scope, of_hours: str, progress: Progress) -> None:
    """Sum up the rows by hour in the working table, one partition after the other."""
    parts = partitions(client, "feedback_rows")
    with progress.step("rows of feedback_rows read by hour", sum(rows for _, rows in parts)) as advance:
        for part, rows in parts:
            of_part = f"_partition_id = '{part}' AND {scope.condition('created_at')} AND {of_hours}"
            client.command(
                f"INSERT INTO {by_hour} SELECT workspace::String, hour, sum({_CONTENT}), count()"
                f" FROM ({hour_copies('feedback.feedback_rows FINAL', of_part)}) GROUP BY workspace, hour",
                parameters=scope.parameters,
                settings=SETTINGS,
            )
            advance(rows)


def _expired_before(client: Client) -> int:
    """Rows of removed traces may be gone before this time, in Unix seconds."""
    return read_setting(client, "expired_before", 0)


def _must_have_row(rows: str, expired_before: int, since: int = 0) -> str:
    """SQL for whether a copy, of an hour from `since` on, must have a row that meets the condition. Copies remain
    when the rows of removed traces are gone."""
    if since >= expired_before:
        return "true"
    return (
        f"(hour >= toDateTime({expired_before}, 'UTC') OR (feedback_id, hour) IN ("
        f"SELECT feedback_id, {_HOUR} FROM feedback.feedback_rows FINAL WHERE {rows}))"
    )


def _comparison(by_hour: str, buckets: BucketRange, copies: str, must_have_row: str) -> str:
    """SQL for the hours whose copies differ from the rows, each with its fingerprint."""
    return f"""
        SELECT workspace, toUnixTimestamp(at), sumIf(content, is_row) FROM (
            SELECT workspace, at, content, number, true AS is_row FROM {by_hour} WHERE {buckets.condition("at")}
            UNION ALL SELECT workspace::String, hour, {_CONTENT}, 1, false FROM ({copies})
                WHERE is_current AND {must_have_row}
        )
        GROUP BY workspace, at
        HAVING sumIf(content, is_row) != sumIf(content, NOT is_row)
            OR sumIf(number, is_row) != sumIf(number, NOT is_row)"""

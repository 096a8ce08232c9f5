"""A month of requests and feedback as workers leave it, made inside ClickHouse: `fill`.

Everything is a function of a request's or a trace's number, so the same data are made again anywhere and a stored
month can be continued. Rows come in stretches of time, the later the shorter, so that parts stand as a stream leaves
them: whole weeks merged, the last minutes in pieces.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from benchmarks.reading_rows import (
    AGGREGATES,
    FIRST_AGGREGATES,
    FIRST_ROWS,
    JOURNAL_OF_FEEDBACK,
    JOURNAL_OF_REQUESTS,
    LATER_ROWS,
    REQUEST_ROWS,
    Month,
    feedback_sql,
    requests_sql,
)


def fill(client: Any, requests: int, days: int, now: datetime) -> Month:
    """Store the month that ends now, or what is missing of it since it was stored; returns when parts are at rest."""
    end_ms = int(now.timestamp() * 1000)
    first, last, count = client.query(
        "SELECT toUnixTimestamp64Milli(min(started_at)), toUnixTimestamp64Milli(max(started_at)), count()"
        " FROM feedback.request_log_rows"
    ).result_rows[0]
    month = Month(requests, days, first if count else end_ms - days * 86_400_000)
    since_ms = month.at(month.number(last) + 1) if count else month.start_ms
    for begin_ms, until_ms in _stretches(month, since_ms, end_ms):
        _store(client, month, begin_ms, until_ms)
    return month


def _stretches(month: Month, since_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """A day each, of the last day an hour, of the last hour three minutes; but a thousand requests at least."""
    fewest = 1000 * month.length_ms // month.requests
    at = since_ms
    while at < end_ms:
        left = timedelta(milliseconds=end_ms - at)
        steps = ((timedelta(days=1), 86_400_000), (timedelta(hours=1), 3_600_000), (timedelta(0), 180_000))
        until = min(end_ms, at + max(fewest, next(step for above, step in steps if left > above)))
        yield at, until
        at = until


def _store(client: Any, month: Month, begin_ms: int, until_ms: int) -> None:
    requests = requests_sql(month, month.number(begin_ms), month.number(until_ms))
    feedback = feedback_sql(month, begin_ms, until_ms)
    for statement in (
        f"INSERT INTO feedback.journal {JOURNAL_OF_REQUESTS.format(requests=requests)}",
        f"INSERT INTO feedback.request_log_rows {REQUEST_ROWS.format(requests=requests)}",
        f"INSERT INTO feedback.journal {JOURNAL_OF_FEEDBACK.format(feedback=feedback)}",
        f"INSERT INTO feedback.feedback_rows {FIRST_ROWS.format(feedback=feedback)}",
        f"INSERT INTO feedback.trace_aggregate_rows {FIRST_AGGREGATES.format(feedback=feedback)}",
        f"INSERT INTO feedback.feedback_rows {LATER_ROWS.format(feedback=feedback)}",
        f"INSERT INTO feedback.trace_aggregate_rows {AGGREGATES.format(feedback=feedback)}",
    ):
        client.command(statement, settings={"max_partitions_per_insert_block": 0, "max_insert_threads": 2})

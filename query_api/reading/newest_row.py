"""Skips the time in which nothing came, where the first window of a search finds nothing.

Windows begin short and grow. After a quiet night they would be long before they meet the first row.
"""

from datetime import timedelta
from typing import Literal

from query_api.clickhouse import Reader
from query_api.filters.conditions import milliseconds
from query_api.filters.parameters import LogFilters
from query_api.reading.time_windows import Windows

_FARTHEST = timedelta(days=1)
_TIMES = {"feedback_rows": "created_at", "request_log_rows": "started_at"}
_NEWEST = """
SELECT {time} AS at FROM feedback.{table} WHERE workspace = {{workspace:String}}
    AND {time} >= fromUnixTimestamp64Milli({{since:Int64}}) AND {time} < fromUnixTimestamp64Milli({{until:Int64}})
ORDER BY {time} DESC LIMIT 1
"""


async def skip_quiet_time(
    reader: Reader, table: Literal["feedback_rows", "request_log_rows"], sought: Windows, latest: LogFilters
) -> None:
    """Have the next window begin at the newest row before the latest one, if that came within a day. Raises what the
    client raises."""
    begin = sought.filters.since
    if latest.since in (None, begin):
        return  # nothing is left to be sought
    since = latest.since - _FARTHEST
    asked = {
        "workspace": latest.workspace,
        "since": milliseconds(max(since, begin) if begin else since),
        "until": milliseconds(latest.since),
    }
    for row in await reader.rows(_NEWEST.format(time=_TIMES[table], table=table), asked):
        sought.skip_to(row["at"])

"""Pages of requests in another order than newest first: SQL that sorts narrow columns and reads the rest of few rows.

An order by a number of the request, or by time, is one statement: ClickHouse reads the columns that are only shown of
the rows of the page alone. An order by feedback joins requests with the numbers of their traces. It first finds time
and id of the page's rows, for a join would read all columns of all rows.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from query_api.clickhouse import Reader
from query_api.current_rows import RANK
from query_api.filters.conditions import Conditions, conditions_on_listed_requests, milliseconds
from query_api.filters.cursors import Place, add_place
from query_api.filters.parameters import LogFilters
from query_api.reading.request_log_items import COLUMNS
from query_api.reading.request_order import BY_TIME, OF_FEEDBACK, OF_REQUESTS, RankPlace, RequestOrder, add_rank_place
from query_api.reading.request_rows import Row, rows_at
from query_api.trace_rows import trace_number

_SHORT = timedelta(days=2)
"""In a longer time, to read all numbers of traces takes less than to select those of the requests."""


async def ranked_rows(
    reader: Reader, filters: LogFilters, order: RequestOrder, after: RankPlace | None, count: int, source: str
) -> list[Row]:
    """The first `count` after a place, each with its `rank`. Raises what the client raises."""
    rows: dict[tuple[datetime, str], Row] = {}
    while missing := count - len(rows):
        found = await _rows(reader, filters, order, after, missing, source)
        rows |= {(row["created_at"], row["id"]): row for row in found}
        if len(found) < missing:
            break
        last = found[-1]
        after = RankPlace(last["rank"], Place(milliseconds(last["created_at"]), UUID(last["id"])))
    return list(rows.values())


async def _rows(
    reader: Reader, filters: LogFilters, order: RequestOrder, after: RankPlace | None, count: int, source: str
) -> list[Row]:
    if order.by not in OF_FEEDBACK:
        return await reader.rows(*ranked_query(filters, order, after, count, COLUMNS, source))
    keys = "toString(l.request_id) AS id, l.started_at AS created_at"
    found = await reader.rows(*ranked_query(filters, order, after, count, keys, source))
    whole = {(row["created_at"], row["id"]): row for row in await rows_at(reader, filters.workspace, found, source)}
    keyed = [((row["created_at"], row["id"]), row["rank"]) for row in found]
    # One that an erasure has just removed is no more.
    return [whole[key] | {"rank": rank} for key, rank in keyed if key in whole]


def ranked_query(
    filters: LogFilters, order: RequestOrder, after: RankPlace | None, count: int, columns: str, source: str
) -> tuple[str, dict[str, Any]]:
    """The query of the first `count` with its parameters, each request as often as it stands in the source."""
    conditions = conditions_on_listed_requests(filters, "l")
    number, join = _number(filters, order, conditions)
    if order.by == BY_TIME:
        newest_first = order.direction == "desc"
        add_place(conditions, after and after.place, "l.started_at", "l.request_id", newest_first=newest_first)
        sorting = f"l.started_at {order.direction}, l.request_id {order.direction}"
    else:
        add_rank_place(conditions, order, after, number)
        sorting = f"{number} {order.direction} NULLS LAST, l.started_at DESC, l.request_id DESC"
    query = f"""
        SELECT {columns}, {number} AS rank FROM {source} {join}
        WHERE {conditions.text} ORDER BY {sorting} LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}


def _number(filters: LogFilters, order: RequestOrder, conditions: Conditions) -> tuple[str, str]:
    """The number by which rows are sorted, and the join that it needs."""
    if order.by == BY_TIME:
        return "NULL", ""
    if order.by in OF_REQUESTS:
        return OF_REQUESTS[order.by], ""
    numbers = f"""
        SELECT {trace_number()} AS trace, {OF_FEEDBACK[order.by]} AS number
        FROM {_traces(filters, conditions)} AS traces WHERE workspace = {{workspace:String}} AND feedback_count > 0
    """
    return "n.number", f"ANY LEFT JOIN ({numbers}) AS n ON {trace_number('l')} = n.trace"


def _traces(filters: LogFilters, conditions: Conditions) -> str:
    """Where the numbers of the traces of these requests are read from; there may be more."""
    if not (filters.since and filters.until and filters.until - filters.since <= _SHORT):
        return "feedback.trace_aggregates"
    # FINAL takes several times as long to put together the many granules that hold a few of the traces each.
    return f"""(
        SELECT workspace, trace_id, feedback_count, weight_sum, value_weight_sum FROM (
            SELECT workspace, trace_id, feedback_count, weight_sum, value_weight_sum, is_expired
            FROM feedback.trace_aggregate_rows WHERE workspace = {{workspace:String}} AND trace_id IN (
                SELECT l.trace_id FROM feedback.request_log_rows AS l WHERE {conditions.text}
            )
            ORDER BY {RANK} DESC LIMIT 1 BY trace_id
        ) WHERE NOT is_expired
    )"""

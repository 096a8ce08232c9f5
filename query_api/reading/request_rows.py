"""Rows of requests, of which the current one counts: a page of a list, and requests by their ids.

Requests never change, so a page is read without FINAL, and ClickHouse reads the columns that are only shown of the rows
of the page alone. Whether one of these requests is stored more than once is asked beside the next question. Then the
page is read again with FINAL: of rows that differ, a filter may have found one that does not count.
"""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from query_api.clickhouse import Reader
from query_api.current_rows import RANK_OF_REQUESTS
from query_api.filters.conditions import Amount, conditions_on_listed_requests, milliseconds
from query_api.filters.cursors import Place, add_place
from query_api.filters.parameters import LogFilters
from query_api.reading.newest_row import skip_quiet_time
from query_api.reading.request_log_items import BODIES, COLUMNS
from query_api.reading.time_windows import FIRST, FIRST_OF_TRACES, Windows
from query_api.trace_journal import TraceJournal, in_text
from runtime.concurrent_calls import answers_of

Row = dict[str, Any]
Beside = TypeVar("Beside")

ROWS = "feedback.request_log_rows AS l"
CURRENT_ROWS = f"{ROWS} FINAL"
"""The same, each request once; a page of many columns takes much longer to read."""

_AT_KEYS = """
l.workspace = {workspace:String} AND (l.started_at, l.request_id) IN {keys:Array(Tuple(DateTime64(3, 'UTC'), UUID))}
"""
_STORED = f"SELECT l.started_at AS created_at, toString(l.request_id) AS id FROM {ROWS} PREWHERE {_AT_KEYS}"


async def current_page(
    reader: Reader,
    workspace: str,
    sought: Callable[[str], Coroutine[Any, Any, list[Row]]],
    beside: Callable[[list[Row]], Coroutine[Any, Any, Beside]],
) -> tuple[list[Row], Beside]:
    """A page of current rows, and what is asked about them. `sought` reads the page from one of the sources above."""
    rows = await sought(ROWS)
    if not rows:
        return rows, await beside(rows)
    is_doubtful, told = await answers_of(_are_stored_twice(reader, workspace, rows), beside(rows))
    if is_doubtful:
        rows = await sought(CURRENT_ROWS)
        told = await beside(rows)
    return rows, told


async def _are_stored_twice(reader: Reader, workspace: str, rows: list[Row]) -> bool:
    """Whether any of these requests is stored more than once, as by a worker that was killed until a merge."""
    stored = await reader.rows(_STORED, _keys_of(workspace, rows))
    return len(stored) > len({(row["created_at"], row["id"]) for row in stored})


async def rows_at(reader: Reader, workspace: str, keys: list[Row], source: str) -> list[Row]:
    """The whole rows at the times and ids of these. Raises what the client raises."""
    if not keys:
        return []
    return await reader.rows(f"SELECT {COLUMNS} FROM {source} WHERE {_AT_KEYS}", _keys_of(workspace, keys))


def _keys_of(workspace: str, rows: list[Row]) -> dict[str, Any]:
    return {"workspace": workspace, "keys": [(in_text(milliseconds(row["created_at"])), row["id"]) for row in rows]}


async def log_rows(reader: Reader, filters: LogFilters, place: Place | None, count: int, source: str) -> list[Row]:
    """The newest `count` after a place. Raises what the client raises."""
    rows: list[Row] = []
    first = FIRST_OF_TRACES if filters.ask_about_feedback else FIRST
    sought = Windows(filters, place, datetime.now(UTC), first)
    for window in sought:
        found = await _different_rows(reader, window, place, count - len(rows), sought.traces, source)
        rows += found
        if len(rows) == count:
            break
        sought.adapt_to(len(found), count - len(rows))
        if not rows and sought.have_just_begun and sought.look_traces_up:
            await skip_quiet_time(reader, "request_log_rows", sought, window)
    return rows


async def _different_rows(
    reader: Reader, window: LogFilters, place: Place | None, count: int, traces: Amount, source: str
) -> list[Row]:
    """The newest `count` of a window, each request once."""
    rows: dict[tuple[datetime, str], Row] = {}
    while missing := count - len(rows):
        found = await reader.rows(*_log_query(window, place, missing, traces, source))
        rows |= {(row["created_at"], row["id"]): row for row in found}
        if len(found) < missing:
            break
        place = Place(milliseconds(found[-1]["created_at"]), UUID(found[-1]["id"]))
    return list(rows.values())


def _log_query(
    filters: LogFilters, place: Place | None, count: int, traces: Amount, source: str
) -> tuple[str, dict[str, Any]]:
    """The query of the newest `count` with its parameters."""
    conditions = conditions_on_listed_requests(filters, "l", traces)
    add_place(conditions, place, "l.started_at", "l.request_id", newest_first=True)
    query = f"""
        SELECT {COLUMNS} FROM {source} WHERE {conditions.text}
        ORDER BY l.started_at DESC, l.request_id DESC LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}


async def current_request(reader: Reader, workspace: str, identity: UUID, journal: TraceJournal) -> Row | None:
    """The current row of a request on a trace of this journal, with its bodies. Raises what the client raises."""
    query = f"""
        SELECT {COLUMNS}{BODIES} FROM {ROWS}
        PREWHERE l.workspace = {{workspace:String}} AND l.request_id = {{id:UUID}} AND {journal.requests("l")}
        ORDER BY {RANK_OF_REQUESTS} DESC LIMIT 1
    """
    rows = await reader.rows(query, {"workspace": workspace, "id": str(identity), **journal.keys})
    return next(iter(rows), None)

"""One page of feedback that stands, newest first, from ClickHouse.

Promises to open no more months than it needs: nearly every page is full from the month before its start, and only where
that is not so, everything older is looked through as well.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from query_api.engines import Reader
from query_api.feedback_conditions import JOIN_STATE, conditions_on_listed_feedback
from query_api.feedback_filters import FeedbackFilters
from query_api.filter_conditions import milliseconds
from query_api.log_filters import LogFilters
from query_api.pages import Place, add_place
from query_api.receipts import CurrentFeedback, current_of

COLUMNS = f"""
    f.workspace AS workspace, toString(f.feedback_id) AS id, f.trace_id AS trace_id, f.value AS value,
    toFloat64(f.weight) AS weight, f.metadata AS metadata,
    {JOIN_STATE.format(row="f")} AS join_state,
    f.models AS models, f.providers AS providers, f._user AS _user, f._organisation AS _organisation,
    f._prompt AS _prompt, f._environment AS _environment, f.created_at AS created_at, f.updated_at AS updated_at,
    f.is_deleted AS is_deleted
"""
"""A row of feedback.feedback_rows called `f`, as `receipts.current_of` takes it."""

_RECENT = timedelta(days=31)


class ListedFeedback(CurrentFeedback):
    """A feedback that stands, with its id."""

    id: str = Field(examples=["01970000-0000-8000-8000-9b11edf90000"])


async def feedback_page(
    reader: Reader, filters: FeedbackFilters, place: Place | None, count: int
) -> list[ListedFeedback]:
    """The newest `count` after a place. Raises what the client raises."""
    rows: list[dict[str, Any]] = []
    for since in _windows(filters.shared, place, datetime.now(UTC)):
        query, parameters = feedback_query(filters, place, since, count)
        rows = await reader.rows(query, parameters)
        if len(rows) == count:
            break
    return [ListedFeedback(id=row["id"], **current_of(row).model_dump()) for row in rows]


def feedback_query(
    filters: FeedbackFilters, place: Place | None, since: datetime | None, count: int
) -> tuple[str, dict[str, Any]]:
    """The query of one page with its parameters; `since` is a lower bound of its own."""
    conditions = conditions_on_listed_feedback(filters, "f")
    if since is not None:
        conditions.add("f.created_at >= fromUnixTimestamp64Milli({recent:Int64}, 'UTC')", recent=milliseconds(since))
    add_place(conditions, place, "f.created_at", "f.feedback_id", newest_first=True)
    query = f"""
        SELECT {COLUMNS} FROM feedback.feedback_rows AS f FINAL WHERE {conditions.text}
        ORDER BY f.created_at DESC, f.feedback_id DESC LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}


def _windows(filters: LogFilters, place: Place | None, now: datetime) -> Iterator[datetime | None]:
    start = datetime.fromtimestamp(place.at_ms / 1000, UTC) if place else filters.until or now
    if filters.since is None or filters.since < start - _RECENT:
        yield start - _RECENT
    yield None

"""One page of feedback that stands, newest first, from ClickHouse."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import Field

from query_api.clickhouse import Reader
from query_api.filters.conditions import Amount, Conditions, is_found_by_a_request, is_found_by_metadata_of_requests
from query_api.filters.cursors import Place, add_place
from query_api.filters.feedback_conditions import conditions_on_listed_feedback
from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameters import LogFilters
from query_api.reading.newest_row import skip_quiet_time
from query_api.reading.orphans import named_by_age, orphaned_before
from query_api.reading.rare_metadata import traces_that_say
from query_api.reading.receipts import CurrentFeedback, current_of
from query_api.reading.time_windows import FIRST, FIRST_BESIDE_ALL, FIRST_OF_TRACES, Windows
from query_api.trace_journal import TraceJournal
from query_api.trace_rows import hashes_of

COLUMNS = """
    f.workspace AS workspace, toString(f.feedback_id) AS id, f.trace_id AS trace_id, f.value AS value,
    toFloat64(f.weight) AS weight, f.metadata AS metadata, f.join_state AS join_state,
    f.models AS models, f.providers AS providers, f._user AS _user, f._organisation AS _organisation,
    f._prompt AS _prompt, f._environment AS _environment, f.created_at AS created_at, f.updated_at AS updated_at,
    f.is_deleted AS is_deleted
"""
"""A row of feedback.feedback_rows called `f`, as `orphans.named_by_age` and then `receipts.current_of` take it."""
_ENOUGH = 4
"""Where the first window holds such a part of the page, a window not much longer holds the rest."""


class ListedFeedback(CurrentFeedback):
    """A feedback that stands, with its id."""

    id: str = Field(examples=["01970000-0000-8000-8000-9b11edf90000"])


async def feedback_page(
    reader: Reader, filters: FeedbackFilters, place: Place | None, count: int
) -> list[ListedFeedback]:
    """The newest `count` after a place. Raises what the client raises."""
    rows: list[dict[str, Any]] = []
    shared = filters.shared
    if filters.join_state == "orphaned":
        before = await orphaned_before(reader)
        shared = replace(shared, until=min(shared.until or before, before))
    asks_for_all = filters == FeedbackFilters(LogFilters(shared.workspace, shared.since, shared.until))
    first = _first_window(shared)
    has_dear_windows = asks_for_all or first != FIRST
    sought = Windows(shared, place, datetime.now(UTC), first)
    hashes: list[int] | None = None
    for window in sought:
        asked = replace(filters, shared=window)
        found = await reader.rows(*feedback_query(asked, place, count - len(rows), sought.traces, hashes))
        rows += found
        if len(rows) == count:
            break
        sought.adapt_to(len(found), count - len(rows))
        if sought.have_just_begun and len(rows) * _ENOUGH < count:
            hashes = await _traces_of_the_rest(reader, shared, window)
            if hashes is not None:
                sought.name_traces()
            elif not rows and has_dear_windows:
                await skip_quiet_time(reader, "feedback_rows", sought, window)
    return await listed(reader, filters, rows)


async def _traces_of_the_rest(reader: Reader, filters: LogFilters, latest: LogFilters) -> list[int] | None:
    """Hashes of the traces that all feedback before the latest window is on, where they are few and to be found."""
    if latest.since in (None, filters.since) or not is_found_by_metadata_of_requests(filters):
        return None
    return await traces_that_say(reader, replace(filters, until=latest.since))


def _first_window(filters: LogFilters) -> timedelta:
    if filters.ask_about_feedback or is_found_by_metadata_of_requests(filters):
        return FIRST_OF_TRACES
    return FIRST_BESIDE_ALL if is_found_by_a_request(filters) else FIRST


async def listed(reader: Reader, filters: FeedbackFilters, rows: list[dict[str, Any]]) -> list[ListedFeedback]:
    """What these filters have found. Raises what the client raises."""
    if filters.join_state:
        named = [row | {"join_state": filters.join_state} for row in rows]
    else:
        named = await named_by_age(reader, rows)
    return [ListedFeedback(id=row["id"], **current_of(row).model_dump()) for row in named]


async def feedback_on(
    reader: Reader, workspace: str, trace_id: str, journal: TraceJournal, count: int
) -> list[ListedFeedback]:
    """The newest `count` on one trace, of which this is the journal. Raises what the client raises."""
    if not journal.may_have_feedback:
        return []
    filters = FeedbackFilters(LogFilters(workspace, texts={"trace_id": (trace_id,)}))
    conditions = conditions_on_listed_feedback(filters, "f")
    conditions.add(journal.feedback("f"), **journal.keys)
    return await listed(reader, filters, await reader.rows(*_page_query(conditions, count)))


def feedback_query(
    filters: FeedbackFilters, place: Place | None, count: int, traces: Amount = "many", hashes: list[int] | None = None
) -> tuple[str, dict[str, Any]]:
    """The query of the newest `count` with its parameters; `hashes` are those of the traces that are named."""
    parameters = {"trace_hashes": hashes or []}
    if trace_ids := filters.shared.texts.get("trace_id"):
        traces = "named"
        parameters |= hashes_of(filters.shared.workspace, trace_ids)
    conditions = conditions_on_listed_feedback(filters, "f", traces)
    add_place(conditions, place, "f.created_at", "f.feedback_id", newest_first=True)
    query, asked = _page_query(conditions, count)
    return query, asked | parameters


def _page_query(conditions: Conditions, count: int) -> tuple[str, dict[str, Any]]:
    query = f"""
        SELECT {COLUMNS} FROM feedback.feedback_rows AS f FINAL WHERE {conditions.text}
        ORDER BY f.created_at DESC, f.feedback_id DESC LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}

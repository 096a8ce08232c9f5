"""The feedback of one trace with all that happened to it, newest first, deleted feedback too."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field

from query_api.clickhouse import Reader
from query_api.current_rows import PLACE, RANK
from query_api.filters.conditions import Conditions
from query_api.filters.cursors import Place, add_place
from query_api.reading.feedback_page import COLUMNS
from query_api.reading.orphans import named_by_age
from query_api.reading.receipts import CurrentFeedback, current_of
from query_api.trace_journal import Entry, TraceJournal, changes_of
from schemas.ids import trace_key
from schemas.murmur2 import murmur2

MOST_EVENTS = 20

# Another trace or workspace may share the hash, so ids and workspace are asked for as well. `changes_of` says what of
# the events is history.
_HISTORY = """
SELECT toString(id) AS feedback_id, entry, event = 'create' AND number > 1 AS again,
    count() OVER (PARTITION BY id) AS events FROM (
    SELECT id, entry, sequence, JSONExtractString(entry, 'event') AS event,
        JSONExtractBool(entry, 'replaces') AS replaces,
        row_number() OVER (PARTITION BY id, event ORDER BY sequence) AS number,
        max(replaces) OVER (PARTITION BY id) AS is_vote,
        lagInFrame(event) OVER (PARTITION BY id ORDER BY sequence) AS before
    FROM feedback.journal FINAL PREWHERE trace_hash = {hash:UInt32} AND kind = 'feedback' AND id IN {ids:Array(UUID)}
    WHERE JSONExtractString(entry, 'workspace') = {workspace:String}
)
WHERE event = 'update' OR number = 1 OR replaces OR (is_vote AND event = 'delete' AND before != 'delete')
ORDER BY id, sequence DESC LIMIT {most:UInt32} BY id
"""


class HistoryEntry(BaseModel):
    """One event that made, changed or ended a feedback. Null is what it left as it was."""

    event: Literal["create", "update", "delete"]
    at: datetime = Field(description="When it was accepted.")
    value: int | None = Field(examples=[5])
    weight: float | None = Field(examples=[0.5])
    metadata: dict[str, Any] | None


class TraceFeedback(BaseModel):
    """One feedback on a trace, with its history."""

    id: str = Field(examples=["01970000-0000-8000-8000-9b11edf90000"])
    status: Literal["stored", "deleted"]
    feedback: CurrentFeedback | None = Field(description="As it stands; null when it is deleted.")
    events: int = Field(description="How many events made, changed or ended it.", examples=[2])
    history: list[HistoryEntry] = Field(description="The latest twenty events, in order.")


History = tuple[int, list[HistoryEntry]]
"""How many events there are, and the latest of them in order."""


class FeedbackTotals(BaseModel):
    """How much feedback a trace has, exact."""

    total: int = Field(description="Feedback that stands.", examples=[1])
    deleted: int = Field(description="Feedback that was deleted.", examples=[0])

    @classmethod
    def of(cls, feedback: Sequence[TraceFeedback]) -> "FeedbackTotals":
        """Those of a trace that has no other feedback."""
        deleted = sum(each.status == "deleted" for each in feedback)
        return cls(total=len(feedback) - deleted, deleted=deleted)


async def feedback_totals(reader: Reader, workspace: str, trace_id: str, journal: TraceJournal) -> FeedbackTotals:
    """Raises what the client raises."""
    query = f"""
        SELECT countIf(NOT last.1) AS total, countIf(last.1 AND last.2 != 'expired') AS deleted FROM (
            SELECT argMax((is_deleted, join_state), {RANK}) AS last FROM feedback.feedback_rows AS f
            PREWHERE workspace = {{workspace:String}} AND trace_id = {{trace_id:String}} AND {journal.feedback("f")}
            GROUP BY {PLACE}
        )
    """
    (row,) = await reader.rows(query, {"workspace": workspace, "trace_id": trace_id, **journal.keys})
    return FeedbackTotals(**row)


async def feedback_with_history(
    reader: Reader, workspace: str, trace_id: str, journal: TraceJournal, place: Place | None, count: int
) -> list[tuple[datetime, TraceFeedback]]:
    """The newest `count` after a place, each with the time of its creation. Raises what the client raises."""
    if not journal.may_have_feedback:
        return []
    conditions = Conditions(
        ["f.workspace = {workspace:String}", "f.trace_id = {trace_id:String}", journal.feedback("f")],
        {"workspace": workspace, "trace_id": trace_id, "count": count, **journal.keys},
    )
    add_place(conditions, place, "f.created_at", "f.feedback_id", newest_first=True)
    # Time and trace of a feedback never change, so its place is found in whatever version.
    found = await reader.rows(
        f"""
        SELECT {COLUMNS}, bitShiftRight(f.version, 16) AS sequence
        FROM feedback.feedback_rows AS f PREWHERE {conditions.text}
        QUALIFY row_number() OVER (PARTITION BY {PLACE} ORDER BY {RANK} DESC) = 1 AND f.join_state != 'expired'
        ORDER BY f.created_at DESC, f.feedback_id DESC LIMIT {{count:UInt32}}
        """,
        conditions.parameters,
    )
    rows = await named_by_age(reader, found)
    histories = await _histories(reader, workspace, trace_id, journal, rows)
    return [(row["created_at"], _with_history(row, *histories.get(row["id"], (0, [])))) for row in rows]


async def _histories(
    reader: Reader, workspace: str, trace_id: str, journal: TraceJournal, rows: list[dict[str, Any]]
) -> dict[str, History]:
    if not rows:
        return {}
    events_of = journal.events_of_feedback(workspace)
    # A row may tell of an event that came after the look into the journal.
    if all(row["id"] in events_of and row["sequence"] <= events_of[row["id"]][-1].sequence for row in rows):
        return {row["id"]: _history(events_of[row["id"]]) for row in rows}
    ids = [row["id"] for row in rows]
    asked = {"workspace": workspace, "hash": murmur2(trace_key(workspace, trace_id)), "ids": ids, "most": MOST_EVENTS}
    events: dict[str, int] = {}
    changes: dict[str, list[HistoryEntry]] = defaultdict(list)
    for row in await reader.rows(_HISTORY, asked):
        events[row["feedback_id"]] = row["events"]
        changes[row["feedback_id"]].append(_change(msgspec.json.decode(row["entry"]), bool(row["again"])))
    return {identity: (events[identity], latest_first[::-1]) for identity, latest_first in changes.items()}


def _history(entries: list[Entry]) -> History:
    """What `_HISTORY` answers of one feedback, from all of its entries."""
    changes = changes_of(entries)
    latest = [_change(msgspec.json.decode(each.text), again) for each, again in changes[-MOST_EVENTS:]]
    return len(changes), latest


def _change(event: dict[str, Any], again: bool) -> HistoryEntry:
    return HistoryEntry(
        event="update" if again else event["event"],
        at=event[f"{event['event']}d_at"],
        **{name: event.get(name) for name in ("value", "weight", "metadata")},
    )


def _with_history(row: dict[str, Any], events: int, history: list[HistoryEntry]) -> TraceFeedback:
    deleted = bool(row["is_deleted"])
    return TraceFeedback(
        id=row["id"],
        status="deleted" if deleted else "stored",
        feedback=None if deleted else current_of(row),
        events=events,
        history=history,
    )

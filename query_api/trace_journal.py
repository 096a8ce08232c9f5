"""What the journal says of a trace, read once: where its rows are, and what happened to its feedback.

A statement can look its rows up in the journal by itself (`trace_rows`). To plan that takes ClickHouse longer than to
read a few entries, so these are read first, and rows are named by the keys of their tables. If there are very many
entries, all is left to ClickHouse.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import msgspec

from query_api.clickhouse import Reader
from query_api.filters.conditions import milliseconds
from query_api.trace_rows import feedback_of_traces, hashes_of, requests_of_traces
from schemas.ids import trace_hash_of

MOST_ENTRIES = 500
"""Of more, to send and to read them here takes longer than to plan another query."""

_ENTRIES = """
SELECT toString(kind) AS kind, toString(id) AS id, sequence, entry FROM feedback.journal
PREWHERE trace_hash IN {trace_hashes:Array(UInt32)} LIMIT {most:UInt32}
"""


class JournalEvent(msgspec.Struct):
    """What of an event is needed to find its row. Requests have `started_at` in Unix milliseconds."""

    event: str
    workspace: str = ""
    trace_id: str = ""
    replaces: bool = False
    home_environment: str = "other"
    organisation: str | None = msgspec.field(name="_organisation", default=None)
    created_at: datetime | None = None
    started_at: int = 0


_event_of = msgspec.json.Decoder(JournalEvent).decode


@dataclass(frozen=True)
class Entry:
    """One entry; `text` is the whole event as JSON."""

    kind: str
    id: str
    sequence: int
    text: str
    event: JournalEvent


@dataclass(frozen=True)
class TraceJournal:
    """The entries under the hash of a trace, which other traces may share; None if they are too many."""

    hashes: dict[str, Any]
    entries: list[Entry] | None

    @property
    def may_have_feedback(self) -> bool:
        """Whether there may be feedback on the trace."""
        return self.entries is None or any(each.event.event == "create" for each in self.entries)

    def trace_of(self, identity: UUID) -> str | None:
        """The trace that a request is on, where that is known."""
        found = (each for each in self.entries or () if each.kind == "request" and each.id == str(identity))
        return next((each.event.trace_id for each in found), None)

    def events_of_feedback(self, workspace: str) -> dict[str, list[Entry]]:
        """All that was accepted about each feedback of a workspace, by id and in order; nothing if that is too much."""
        events: dict[str, list[Entry]] = defaultdict(list)
        for each in self.entries or ():
            if each.kind == "feedback" and each.event.workspace == workspace:
                events[each.id].append(each)
        return events

    @cached_property
    def keys(self) -> dict[str, Any]:
        """The parameters of the conditions below."""
        if self.entries is None:
            return self.hashes
        return {
            "feedback_keys": [key for each in self.entries for key in _feedback_keys(each)],
            "request_keys": [
                (in_text(each.event.started_at), each.id) for each in self.entries if each.kind == "request"
            ],
        }

    def feedback(self, alias: str) -> str:
        """That a row of feedback.feedback_rows is where feedback on the trace is."""
        if self.entries is None:
            return feedback_of_traces(alias)
        return (
            f"({alias}.home_environment, {alias}.home_organisation, {alias}.created_at, {alias}.feedback_id)"
            " IN {feedback_keys:Array(Tuple(String, String, DateTime64(3, 'UTC'), UUID))}"
        )

    def requests(self, alias: str) -> str:
        """That a row of feedback.request_log_rows is where a request on the trace is."""
        if self.entries is None:
            return requests_of_traces(alias)
        return f"({alias}.started_at, {alias}.request_id) IN {{request_keys:Array(Tuple(DateTime64(3, 'UTC'), UUID))}}"


async def journal_of(reader: Reader, workspace: str, trace_id: str) -> TraceJournal:
    """The journal of a trace. Raises what the client raises."""
    return await _journal(reader, workspace, hashes_of(workspace, [trace_id]))


async def journal_beside(reader: Reader, workspace: str, identity: UUID) -> TraceJournal:
    """The journal of the trace that the request with this id is on. Raises what the client raises."""
    return await _journal(reader, workspace, {"trace_hashes": [trace_hash_of(identity)]})


async def _journal(reader: Reader, workspace: str, hashes: dict[str, Any]) -> TraceJournal:
    asked = {"workspace": workspace, "most": MOST_ENTRIES + 1, **hashes}
    rows = await reader.rows(_ENTRIES, asked)
    if len(rows) > MOST_ENTRIES:
        return TraceJournal(hashes, None)
    # A record that was read twice has equal entries until they are merged.
    unique = {(row["kind"], row["id"], row["sequence"]): row["entry"] for row in rows}
    return TraceJournal(hashes, [Entry(*key, text, _event_of(text)) for key, text in sorted(unique.items())])


def changes_of(entries: list[Entry]) -> list[tuple[Entry, bool]]:
    """What made, changed or ended one feedback, and whether it is another create. Entries are in order.

    A create or a delete that is repeated is accepted and changes nothing, so only the first of either has happened. A
    vote is different: each later create of it is a change, and so is a delete unless another came right before it.
    """
    is_vote = any(each.event.replaces for each in entries)
    changes, seen, before = [], set[str](), ""
    for each in entries:
        event = each.event.event
        is_delete_of_vote = is_vote and event == "delete" and before != "delete"
        if event == "update" or event not in seen or each.event.replaces or is_delete_of_vote:
            changes.append((each, event == "create" and event in seen))
        seen.add(event)
        before = event
    return changes


def _feedback_keys(entry: Entry) -> Iterator[tuple[str, str, str, str]]:
    event = entry.event
    if entry.kind == "feedback" and event.event == "create" and event.created_at:
        # A time in an event may have parts of a millisecond, which rows have not.
        for ms in range(milliseconds(event.created_at) - 1, milliseconds(event.created_at) + 2):
            yield event.home_environment, event.organisation or "", in_text(ms), entry.id


def in_text(ms: int) -> str:
    """Unix milliseconds as parameters hold a DateTime64."""
    return (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).isoformat(" ", "milliseconds")

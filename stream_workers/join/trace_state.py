"""The state of a trace: its feedback, the facts of its requests, and its totals.

A state is a fold over events. It does not depend on how the events were grouped or how often they were applied: a
feedback is a function of the set of its events, the first request of an id counts, and the facts of a trace are a
function of the set of its requests. An event takes the same time however many came before it. No clock, no engine.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw, field

from stream_workers.join.aggregate import Totals
from stream_workers.join.feedback import Conflict, FeedbackState
from stream_workers.join.incoming_events import Created, Deleted, Expired, FeedbackEvent, StateInvalidated, Updated
from stream_workers.join.request_facts import Facts, RequestFact

_decode_feedback = msgspec.msgpack.Decoder(FeedbackState).decode


class TraceState(msgspec.Struct, gc=False, array_like=True):
    """The state of one trace. `sequence` is that of its latest feedback event or invalidation, `updated_at` its time.

    `partition` is the partition of its events, known once one has come. In a trace that was decoded from bytes, each
    feedback stays encoded until it is asked for: a new feedback does not concern the others. `_live` holds the feedback
    that is not deleted, in the order of its latest changes, unless an event came late (`_is_in_order`).
    """

    workspace: str
    trace_id: str
    _live: dict[str, Raw] = field(default_factory=dict)
    _deleted: dict[str, Raw] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    totals: Totals = field(default_factory=Totals)
    sequence: int = 0
    updated_at: int = 0
    partition: int = 0
    _is_in_order: bool = True

    def create(self, event: Created, sequence: int) -> FeedbackState:
        """Add a feedback with a new id."""
        made = FeedbackState.create(event, sequence)
        self.totals.add(made.value, made.weight)
        self._record_change(made, sequence)
        self.advance_sequence(sequence)
        return made

    def apply(self, held: FeedbackState, event: FeedbackEvent, sequence: int) -> None:
        """Apply one more event to a feedback of this trace. Raises Conflict and changes nothing."""
        if isinstance(event, Created) and event.trace_id != self.trace_id:
            raise Conflict("id_reused", "This id was created before with another trace.")
        before = None if held.deleted else (held.value, held.weight)
        if held.apply(event, sequence):
            if before:
                self.totals.remove(*before)
            if not held.deleted:
                self.totals.add(held.value, held.weight)
            self._record_change(held, sequence)
        self.advance_sequence(sequence)

    def advance_sequence(self, sequence: int) -> None:
        """Make the next snapshot of the trace newer than all snapshots before it."""
        self.sequence = max(self.sequence, sequence)

    @property
    def feedback_count(self) -> int:
        """The number of all its feedback, deleted feedback included."""
        return len(self._live) + len(self._deleted)

    def feedback(self) -> list[FeedbackState]:
        """All its feedback, deleted feedback included."""
        return [held for each in (*self._live, *self._deleted) if (held := self.find(each))]

    def find(self, feedback_id: str) -> FeedbackState | None:
        """The feedback of this id."""
        return _decoded_in(self._live, feedback_id) or _decoded_in(self._deleted, feedback_id)

    def _record_change(self, held: FeedbackState, sequence: int) -> None:
        self._live.pop(held.feedback_id, None)
        self._deleted.pop(held.feedback_id, None)
        where = self._deleted if held.deleted else self._live
        where[held.feedback_id] = held  # type: ignore[assignment]  # written as a Raw would be
        self._is_in_order &= sequence > self.sequence
        self.updated_at = max(self.updated_at, held.updated_at)

    @property
    def last(self) -> FeedbackState | None:
        """The feedback that was created or edited last, of those not deleted."""
        if not self._is_in_order:
            ordered = sorted(filter(None, map(self.find, self._live)), key=lambda each: each.changed_by)
            self._live = {each.feedback_id: each for each in ordered}  # type: ignore[misc]  # as above
            self._is_in_order = True
        if not self._live:
            return None
        # Popped and put back: merely looking at the last entry passes over those that were deleted after it.
        feedback_id, held = self._live.popitem()
        self._live[feedback_id] = held
        return self.find(feedback_id)


def _decoded_in(kept: dict[str, Raw], feedback_id: str) -> FeedbackState | None:
    """The feedback of this id, which is kept decoded from now on."""
    held: Any = kept.get(feedback_id)
    if type(held) is Raw:
        held = _decode_feedback(held)
        kept[feedback_id] = held
    return held  # type: ignore[no-any-return]


class Expiry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """The latest removal of the traces of one trace hash: its sequence, and those before which feedback events and
    requests are removed."""

    sequence: int
    feedback_before: int
    requests_before: int


class HashBucket(msgspec.Struct, gc=False, array_like=True):
    """The traces that share one trace hash: nearly always one. `expiry` is set while the journal holds its event."""

    traces: list[TraceState] = field(default_factory=list)
    expiry: Expiry | None = None

    def add(self, workspace: str, trace_id: str) -> TraceState:
        """Add a trace that the bucket does not hold yet."""
        made = TraceState(workspace, trace_id)
        self.traces.append(made)
        return made

    def trace(self, workspace: str, trace_id: str) -> TraceState | None:
        """The trace with this id, or None."""
        for trace in self.traces:
            if trace.trace_id == trace_id and trace.workspace == workspace:
                return trace
        return None

    def get(self, workspace: str, trace_id: str) -> TraceState:
        """The trace with this id, added if it is missing."""
        return self.trace(workspace, trace_id) or self.add(workspace, trace_id)

    def find(self, feedback_id: str, workspace: str) -> tuple[TraceState, FeedbackState] | None:
        """The feedback with this id in this workspace, and its trace."""
        for trace in self.traces:
            if trace.workspace == workspace and (held := trace.find(feedback_id)):
                return trace, held
        return None

    @property
    def size(self) -> int:
        """How many feedbacks, requests and traces it holds."""
        return sum([1 + trace.feedback_count + len(trace.facts.requests) for trace in self.traces])


Entry = tuple[FeedbackEvent | StateInvalidated | Expired | RequestFact, str, int]
"""An entry of the journal: event, id and sequence."""


def fold(entries: Sequence[Entry]) -> HashBucket:
    """The state of one trace hash after its entries in the journal."""
    bucket = HashBucket()
    if len(entries) > 1:
        entries = sorted(entries, key=_by_sequence)
    if any(type(entry) is Expired for entry, _, _ in entries):
        bucket.expiry = latest_expiry(entries)
        entries = [each for each in entries if _remains_after(each, bucket.expiry)]
    for entry, identity, sequence in entries:
        if isinstance(entry, RequestFact):
            bucket.get(entry.workspace, entry.trace_id).facts.add(identity, entry, sequence)
        elif isinstance(entry, StateInvalidated):
            for trace in bucket.traces:
                trace.advance_sequence(sequence)
        elif isinstance(entry, Expired):
            continue  # applied above
        elif found := bucket.find(entry.feedback_id, entry.workspace):
            trace, held = found
            # Only a damaged journal holds an event that contradicts the others. The event changes nothing.
            with suppress(Conflict):
                trace.apply(held, entry, sequence)
        elif isinstance(entry, Created):
            bucket.get(entry.workspace, entry.trace_id).create(entry, sequence)
    return bucket


def latest_expiry(entries: Sequence[Entry]) -> Expiry | None:
    """The latest removal among the entries of one trace hash.

    An expiry names the events before which everything is old. If feedback has changed between those and the expiry, the
    trace was used again, and the expiry removes nothing. Events that one expiry calls old are old for every later one.
    """
    changes = [sequence for entry, _, sequence in entries if isinstance(entry, _CHANGES)]
    expiries = [(sequence, entry) for entry, _, sequence in entries if isinstance(entry, Expired)]
    latest = max(
        (at for at, event in expiries if not any(event.feedback_before <= each < at for each in changes)), default=None
    )
    if latest is None:
        return None
    known = [event for at, event in expiries if at <= latest]
    return Expiry(latest, max(each.feedback_before for each in known), max(each.requests_before for each in known))


# A tuple, because isinstance is several times as slow with a union.
_CHANGES = (Created, Updated, Deleted)


def _remains_after(entry: Entry, expiry: Expiry | None) -> bool:
    """Whether an entry still counts after a removal."""
    event, _, sequence = entry
    if expiry is None:
        return True
    return sequence >= expiry.requests_before if isinstance(event, RequestFact) else sequence > expiry.sequence


def _by_sequence(entry: Entry) -> tuple[int, str]:
    return entry[2], entry[1]

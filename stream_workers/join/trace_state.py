"""What a worker knows of a trace: its feedback, what its requests say, and its numbers.

State is a fold over events, and the result does not depend on how they were grouped or how often they were seen: a
feedback is a function of the set of its events, the first request of an id is the one that counts, and the facts of a
trace are a function of the set of its requests. An event takes the same time however many came before. No clock, no
engine.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Raw, field

from stream_workers.join.aggregate import Totals
from stream_workers.join.decode import Created, Deleted, Expired, FeedbackEvent, Forgotten, Updated
from stream_workers.join.feedback import Conflict, Feedback
from stream_workers.join.request_facts import Facts, RequestFact

_unpack = msgspec.msgpack.Decoder(Feedback).decode


class Trace(msgspec.Struct, gc=False, array_like=True):
    """Everything on one trace. `sequence` is that of its latest feedback event or notice, `updated_at` its latest time.

    `partition` is where its events come from, known once one has come. Of a trace that was remembered as bytes each
    feedback stays bytes until it is asked for: a new one on the trace does not concern the others. What stands is in
    the order of its latest changes, unless an event came late (`_is_in_order`).
    """

    workspace: str
    trace_id: str
    _standing: dict[str, Raw] = field(default_factory=dict)
    _deleted: dict[str, Raw] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    totals: Totals = field(default_factory=Totals)
    sequence: int = 0
    updated_at: int = 0
    partition: int = 0
    _is_in_order: bool = True

    def create(self, event: Created, sequence: int) -> Feedback:
        """Add a feedback whose id the trace does not hold yet."""
        made = Feedback.create(event, sequence)
        self.totals.add(made.value, made.weight)
        self._have_changed(made, sequence)
        self.notice(sequence)
        return made

    def take(self, held: Feedback, event: FeedbackEvent, sequence: int) -> None:
        """Apply one more event to a feedback of this trace. Raises Conflict and changes nothing."""
        if isinstance(event, Created) and event.trace_id != self.trace_id:
            raise Conflict("id_reused", "This id was created before with another trace.")
        before = None if held.deleted else (held.value, held.weight)
        if held.apply(event, sequence):
            if before:
                self.totals.remove(*before)
            if not held.deleted:
                self.totals.add(held.value, held.weight)
            self._have_changed(held, sequence)
        self.notice(sequence)

    def notice(self, sequence: int) -> None:
        """Something came to the trace: its numbers are newer than any that were told before."""
        self.sequence = max(self.sequence, sequence)

    @property
    def feedback_count(self) -> int:
        """Of how many feedbacks it knows, deleted ones too."""
        return len(self._standing) + len(self._deleted)

    def feedback(self) -> list[Feedback]:
        """All of them."""
        return [held for each in (*self._standing, *self._deleted) if (held := self.find(each))]

    def find(self, feedback_id: str) -> Feedback | None:
        """The feedback of this id."""
        return _taken_from(self._standing, feedback_id) or _taken_from(self._deleted, feedback_id)

    def _have_changed(self, held: Feedback, sequence: int) -> None:
        self._standing.pop(held.feedback_id, None)
        where = self._deleted if held.deleted else self._standing
        where[held.feedback_id] = held  # type: ignore[assignment]  # written as a Raw would be
        self._is_in_order &= sequence > self.sequence
        self.updated_at = max(self.updated_at, held.updated_at)

    @property
    def last(self) -> Feedback | None:
        """The standing feedback that was created or edited last."""
        if not self._is_in_order:
            ordered = sorted(filter(None, map(self.find, self._standing)), key=lambda each: each.changed_by)
            self._standing = {each.feedback_id: each for each in ordered}  # type: ignore[misc]  # as above
            self._is_in_order = True
        if not self._standing:
            return None
        # Taken out and put back: only to look at the last is to pass over the places of all that once stood after it.
        feedback_id, held = self._standing.popitem()
        self._standing[feedback_id] = held
        return self.find(feedback_id)


def _taken_from(remembered: dict[str, Raw], feedback_id: str) -> Feedback | None:
    """The feedback of this id, which from now on is remembered as what it is."""
    held: Any = remembered.get(feedback_id)
    if type(held) is Raw:
        held = _unpack(held)
        remembered[feedback_id] = held
    return held  # type: ignore[no-any-return]


class Expiry(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """The latest removal of the traces of one trace hash, by sequences: where it stands among the feedback events, and
    before which of them, and before which requests, all is gone."""

    sequence: int
    feedback_before: int
    requests_before: int


class Bucket(msgspec.Struct, gc=False, array_like=True):
    """The traces that share one trace hash: nearly always one. `expiry` is known while the journal holds its notice."""

    traces: list[Trace] = field(default_factory=list)
    expiry: Expiry | None = None

    def add(self, workspace: str, trace_id: str) -> Trace:
        """A trace that the bucket does not hold yet."""
        made = Trace(workspace, trace_id)
        self.traces.append(made)
        return made

    def trace(self, workspace: str, trace_id: str) -> Trace | None:
        """The trace of this name, if it is there."""
        for trace in self.traces:
            if trace.trace_id == trace_id and trace.workspace == workspace:
                return trace
        return None

    def get(self, workspace: str, trace_id: str) -> Trace:
        """The trace of this name, made if it was not there."""
        return self.trace(workspace, trace_id) or self.add(workspace, trace_id)

    def find(self, feedback_id: str, workspace: str) -> tuple[Trace, Feedback] | None:
        """The feedback of this id in this workspace, and its trace."""
        for trace in self.traces:
            if trace.workspace == workspace and (held := trace.find(feedback_id)):
                return trace, held
        return None

    @property
    def size(self) -> int:
        """How much it holds, in feedback, requests and traces."""
        return sum([1 + trace.feedback_count + len(trace.facts.requests) for trace in self.traces])


Entry = tuple[FeedbackEvent | Forgotten | Expired | RequestFact, str, int]


def fold(entries: Sequence[Entry]) -> Bucket:
    """The state that stored entries (event, id, sequence) of one trace hash amount to."""
    bucket = Bucket()
    if len(entries) > 1:
        entries = sorted(entries, key=_by_sequence)
    if any(type(entry) is Expired for entry, _, _ in entries):
        bucket.expiry = latest_expiry(entries)
        entries = [each for each in entries if _outlasts(each, bucket.expiry)]
    for entry, identity, sequence in entries:
        if isinstance(entry, RequestFact):
            bucket.get(entry.workspace, entry.trace_id).facts.add(identity, entry, sequence)
        elif isinstance(entry, Forgotten):
            for trace in bucket.traces:
                trace.notice(sequence)
        elif isinstance(entry, Expired):
            continue  # see above
        elif found := bucket.find(entry.feedback_id, entry.workspace):
            trace, held = found
            # What contradicts the rest is in the journal only where the journal was damaged: it changes nothing.
            with suppress(Conflict):
                trace.take(held, entry, sequence)
        elif isinstance(entry, Created):
            bucket.get(entry.workspace, entry.trace_id).create(entry, sequence)
    return bucket


def latest_expiry(entries: Sequence[Entry]) -> Expiry | None:
    """The latest removal among the entries of one trace hash.

    A notice says before which events everything is old. Where feedback has changed between those and the notice, the
    trace had come alive again, and the notice removes nothing. What one notice calls old is old for every later one.
    """
    changes = [sequence for entry, _, sequence in entries if isinstance(entry, _CHANGES)]
    notices = [(sequence, entry) for entry, _, sequence in entries if isinstance(entry, Expired)]
    latest = max(
        (at for at, notice in notices if not any(notice.feedback_before <= each < at for each in changes)), default=None
    )
    if latest is None:
        return None
    known = [notice for at, notice in notices if at <= latest]
    return Expiry(latest, max(each.feedback_before for each in known), max(each.requests_before for each in known))


# A tuple, because isinstance is several times as slow with a union.
_CHANGES = (Created, Updated, Deleted)


def _outlasts(entry: Entry, expiry: Expiry | None) -> bool:
    """Whether an entry is part of the state after a removal."""
    event, _, sequence = entry
    if expiry is None:
        return True
    return sequence >= expiry.requests_before if isinstance(event, RequestFact) else sequence > expiry.sequence


def _by_sequence(entry: Entry) -> tuple[int, str]:
    return entry[2], entry[1]

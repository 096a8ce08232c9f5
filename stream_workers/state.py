"""What a worker knows of a trace: its feedback, what its requests say, and its numbers.

State is a fold over events, and the result does not depend on how they were grouped or how often they were seen:
an event whose sequence was already applied changes nothing, the first create or request of an id is the one that
counts, and the facts of a trace are a function of the set of its requests. No clock, no engine.
"""

import json
from collections.abc import Sequence

import msgspec
from msgspec import field

from stream_workers.aggregate import Totals, billionths
from stream_workers.decode import Created, Deleted, FeedbackEvent, Forgotten, Updated, given, milliseconds
from stream_workers.facts import Facts, RequestFact, Specials

Content = tuple[int, int, Specials, bytes]


class Conflict(ValueError):
    """An event that contradicts what is stored; it belongs to the dead letters under `reason`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def specials_of(event: Created | Updated) -> Specials:
    return (event.user or "", event.organisation or "", event.prompt or "", event.environment or "")


class Feedback(msgspec.Struct, gc=False, array_like=True):
    """One feedback as its events leave it. `home` and `created_at` are its place for ever; weight in billionths.

    `original` is what it was created with, kept from the first edit on.
    """

    feedback_id: str
    home: Specials
    created_at: int
    value: int
    weight: int
    specials: Specials
    metadata: bytes
    updated_at: int
    sequences: tuple[int, ...]
    original: Content | None = None
    deleted_by: int | None = None

    @classmethod
    def create(cls, event: Created, sequence: int) -> "Feedback":
        specials = user, organisation, prompt, _ = specials_of(event)
        at = milliseconds(event.at)
        return cls(
            event.feedback_id,
            (user, organisation, prompt, event.home_environment),
            at,
            event.value,
            billionths(event.weight),
            specials,
            bytes(event.metadata),
            at,
            (sequence,),
        )

    @property
    def sequence(self) -> int:
        return self.sequences[-1]

    @property
    def deleted(self) -> bool:
        return self.deleted_by is not None

    def apply(self, event: FeedbackEvent, sequence: int) -> None:
        """Take in one more event of this feedback. Raises Conflict when it contradicts what is stored."""
        if sequence in self.sequences:
            return
        if sequence < self.sequences[0] and not isinstance(event, Created):
            # A replay finds the create that came after this event: when it came, there was nothing to change.
            raise Conflict("unknown_feedback", "The feedback was created after this change of it.")
        if isinstance(event, Created):
            sent = (event.value, billionths(event.weight), specials_of(event), bytes(event.metadata))
            if not _same(sent, self.original or self._content()):
                raise Conflict("id_reused", "This id was created before with another value, weight or metadata.")
        elif self.deleted_by is not None and self.deleted_by < sequence:
            if isinstance(event, Updated):
                raise Conflict("deleted_feedback", "The feedback was deleted before this update.")
        elif isinstance(event, Deleted):
            self.deleted_by = sequence
            self.updated_at = milliseconds(event.at)
        else:
            self._update(event)
        self.sequences = tuple(sorted((*self.sequences, sequence)))

    def _content(self) -> Content:
        return (self.value, self.weight, self.specials, self.metadata)

    def _update(self, event: Updated) -> None:
        self.original = self.original or self._content()
        if event.value is not None:
            self.value = event.value
        if event.weight is not None:
            self.weight = billionths(event.weight)
        if (metadata := given(event.metadata)) is not None:
            self.metadata = metadata
            self.specials = specials_of(event)
        self.updated_at = milliseconds(event.at)


def _same(sent: Content, held: Content) -> bool:
    """Whether both say the same; the keys of metadata may come in another order."""
    if sent == held:
        return True
    try:
        return sent[:3] == held[:3] and _canonical(sent[3]) == _canonical(held[3])
    except (ValueError, RecursionError):
        return False  # an integer too long or a nesting too deep for Python, which no edge lets through


def _canonical(metadata: bytes) -> str:
    return json.dumps(json.loads(metadata), sort_keys=True)


class Trace(msgspec.Struct, gc=False, array_like=True):
    """Everything on one trace. `sequence` is that of its latest feedback event or notice, `updated_at` its latest time.

    `partition` is where its events come from, known once one has come.
    """

    workspace: str
    trace_id: str
    feedback: dict[str, Feedback] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    totals: Totals = field(default_factory=Totals)
    sequence: int = 0
    updated_at: int = 0
    partition: int = 0
    _last: str | None = None

    def create(self, event: Created, sequence: int) -> Feedback:
        """Add a feedback whose id the trace does not hold yet."""
        made = self.feedback[event.feedback_id] = Feedback.create(event, sequence)
        self.totals.add(made.value, made.weight)
        self._have_seen(made)
        return made

    def take(self, held: Feedback, event: FeedbackEvent, sequence: int) -> None:
        """Apply one more event to a feedback of this trace. Raises Conflict and changes nothing."""
        if isinstance(event, Created) and event.trace_id != self.trace_id:
            raise Conflict("id_reused", "This id was created before with another trace.")
        before = None if held.deleted else (held.value, held.weight)
        held.apply(event, sequence)
        if before:
            self.totals.remove(*before)
        if not held.deleted:
            self.totals.add(held.value, held.weight)
        self._have_seen(held)

    def notice(self, sequence: int) -> None:
        """The trace was changed from outside: its numbers are newer than any that were told before."""
        self.sequence = max(self.sequence, sequence)

    def _have_seen(self, held: Feedback) -> None:
        sequence = held.sequences[-1]
        if sequence > self.sequence:
            self.sequence = sequence
        if held.updated_at > self.updated_at:
            self.updated_at = held.updated_at
        if self._last is None or sequence >= self.feedback[self._last].sequences[-1]:
            self._last = held.feedback_id

    @property
    def last(self) -> Feedback | None:
        """The standing feedback with the latest event."""
        if self._last is None or not self.feedback[self._last].deleted:
            return self.feedback.get(self._last or "")
        standing = (each for each in self.feedback.values() if not each.deleted)
        latest = max(standing, key=lambda each: each.sequence, default=None)
        self._last = latest.feedback_id if latest else None
        return latest


class Bucket(msgspec.Struct, gc=False, array_like=True):
    """The traces that share one trace hash: nearly always one."""

    traces: list[Trace] = field(default_factory=list)

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
            held = trace.feedback.get(feedback_id)
            if held is not None and trace.workspace == workspace:
                return trace, held
        return None

    @property
    def size(self) -> int:
        """How much it holds, in feedback, requests and traces."""
        return sum([1 + len(trace.feedback) + len(trace.facts.requests) for trace in self.traces])


Entry = tuple[FeedbackEvent | Forgotten | RequestFact, str, int]


def fold(entries: Sequence[Entry]) -> Bucket:
    """The state that stored entries (event, id, sequence) of one trace hash amount to."""
    bucket = Bucket()
    if len(entries) > 1:
        entries = sorted(entries, key=_by_sequence)
    for entry, identity, sequence in entries:
        if isinstance(entry, RequestFact):
            bucket.get(entry.workspace, entry.trace_id).facts.add(identity, entry, sequence)
        elif isinstance(entry, Forgotten):
            for trace in bucket.traces:
                trace.notice(sequence)
        elif found := bucket.find(entry.feedback_id, entry.workspace):
            trace, held = found
            trace.take(held, entry, sequence)
        elif isinstance(entry, Created):
            bucket.get(entry.workspace, entry.trace_id).create(entry, sequence)
    return bucket


def _by_sequence(entry: Entry) -> tuple[int, str]:
    return entry[2], entry[1]

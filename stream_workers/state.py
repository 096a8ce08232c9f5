"""What a worker knows of a trace: its feedback, what its requests say, and its numbers.

State is a fold over events, and the result does not depend on how they were grouped or how often they were seen:
an event whose sequence was already applied changes nothing, the first create or request of an id is the one that
counts, and the facts of a trace are a function of the set of its requests. No clock, no engine.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from stream_workers.aggregate import Totals, billionths
from stream_workers.decode import Created, Deleted, FeedbackEvent, Forgotten, Updated, given, milliseconds
from stream_workers.facts import Facts, RequestFact, Specials


class Conflict(ValueError):
    """An event that contradicts what is stored; it belongs to the dead letters under `reason`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def specials_of(event: Created | Updated | RequestFact) -> Specials:
    return (event.user or "", event.organisation or "", event.prompt or "", event.environment or "")


def _content(event: Created) -> int:
    """What two creates of one id must share to be the same feedback sent twice (Python hashes −1 and −2 alike)."""
    return hash((event.trace_id, event.value + 10, event.weight, specials_of(event), bytes(event.metadata)))


@dataclass(slots=True)
class Feedback:
    """One feedback as its events leave it. `home` and `created_at` are its place for ever; weight in billionths."""

    feedback_id: str
    home: Specials
    created_at: int
    content: int
    value: int
    weight: int
    specials: Specials
    metadata: bytes
    updated_at: int
    sequences: tuple[int, ...]
    deleted_by: int | None = None

    @classmethod
    def create(cls, event: Created, sequence: int) -> "Feedback":
        specials = specials_of(event)
        at = milliseconds(event.created_at)
        return cls(
            feedback_id=event.feedback_id,
            home=(*specials[:3], event.home_environment),
            created_at=at,
            content=_content(event),
            value=event.value,
            weight=billionths(event.weight),
            specials=specials,
            metadata=bytes(event.metadata),
            updated_at=at,
            sequences=(sequence,),
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
        if isinstance(event, Created):
            if _content(event) != self.content:
                raise Conflict("id_reused", "This id was created before with another trace, value, weight or metadata.")
        elif self.deleted_by is not None and self.deleted_by < sequence:
            if isinstance(event, Updated):
                raise Conflict("deleted_feedback", "The feedback was deleted before this update.")
        elif isinstance(event, Deleted):
            self.deleted_by = sequence
            self.updated_at = milliseconds(event.deleted_at)
        else:
            self._update(event)
        self.sequences = tuple(sorted((*self.sequences, sequence)))

    def _update(self, event: Updated) -> None:
        if event.value is not None:
            self.value = event.value
        if event.weight is not None:
            self.weight = billionths(event.weight)
        if (metadata := given(event.metadata)) is not None:
            self.metadata = metadata
            self.specials = specials_of(event)
        self.updated_at = milliseconds(event.updated_at)


@dataclass(slots=True)
class Trace:
    """Everything on one trace. `sequence` is that of its latest feedback event, `last` the feedback standing latest."""

    workspace: str
    trace_id: str
    feedback: dict[str, Feedback] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    totals: Totals = field(default_factory=Totals)
    sequence: int = 0
    last: Feedback | None = None

    def take(self, event: FeedbackEvent, sequence: int) -> Feedback:
        """Apply a feedback event and keep the numbers true. Raises Conflict and changes nothing."""
        held = self.feedback.get(event.feedback_id)
        if held is None:
            if not isinstance(event, Created):
                raise Conflict("unknown_feedback", "No feedback with this id has been created.")
            held = self.feedback[event.feedback_id] = Feedback.create(event, sequence)
        else:
            before = None if held.deleted else (held.value, held.weight)
            held.apply(event, sequence)
            if before:
                self.totals.remove(*before)
        if not held.deleted:
            self.totals.add(held.value, held.weight)
        self._keep_last(held)
        self.sequence = max(self.sequence, sequence)
        return held

    def _keep_last(self, held: Feedback) -> None:
        if held.deleted:
            if held is self.last:
                standing = (each for each in self.feedback.values() if not each.deleted)
                self.last = max(standing, key=lambda each: each.sequence, default=None)
        elif self.last is None or held.sequence >= self.last.sequence:
            self.last = held


@dataclass(slots=True)
class Bucket:
    """The traces that share one trace hash: nearly always one."""

    traces: dict[tuple[str, str], Trace] = field(default_factory=dict)

    def add(self, workspace: str, trace_id: str) -> Trace:
        """The trace of this name, made if it was not there."""
        return self.traces.setdefault((workspace, trace_id), Trace(workspace, trace_id))

    def holder_of(self, feedback_id: str, workspace: str) -> Trace | None:
        """The trace in this workspace that has this feedback."""
        for held in self.traces.values():
            if feedback_id in held.feedback and held.workspace == workspace:
                return held
        return None

    @property
    def size(self) -> int:
        """How much it holds, in feedback and requests."""
        return sum(1 + len(held.feedback) + len(held.facts.requests) for held in self.traces.values())


def fold(entries: Iterable[tuple[FeedbackEvent | Forgotten | RequestFact, str, int]]) -> Bucket:
    """The state that stored entries (event, id, sequence) of one trace hash amount to."""
    bucket = Bucket()
    for entry, identity, sequence in sorted(entries, key=lambda item: (item[2], item[1])):
        if isinstance(entry, RequestFact):
            bucket.add(entry.workspace, entry.trace_id).facts.add(identity, entry, sequence)
        elif isinstance(entry, Created):
            bucket.add(entry.workspace, entry.trace_id).take(entry, sequence)
        elif isinstance(entry, Forgotten):
            continue
        elif held := bucket.holder_of(entry.feedback_id, entry.workspace):
            held.take(entry, sequence)
    return bucket

"""The state of one feedback, and the conflicts of events with it.

The state depends neither on the order of events nor on how often each is applied: the earliest create and the earliest
delete count, and each field has the value of its latest update. So no list of applied events is needed. Of a vote,
the latest create counts, and the earliest delete after it. No clock, no engine.
"""

import msgspec

from stream_workers.join.aggregate import billionths
from stream_workers.join.incoming_events import Created, Deleted, FeedbackEvent, Updated, field_json, milliseconds
from stream_workers.join.request_facts import Specials

Content = tuple[int, int, Specials, bytes]


class Conflict(ValueError):
    """An event that contradicts the stored state; it becomes a dead letter with this `reason`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def specials_of(event: Created | Updated) -> Specials:
    return (event.user or "", event.organisation or "", event.prompt or "", event.environment or "")


def call_of(event: Created) -> bytes:
    """The digest of the call that sent the event, if the call had an idempotency key; else empty."""
    return bytes.fromhex(event.idempotency_digest or "")


class Edits(msgspec.Struct, gc=False, array_like=True):
    """The original content of a feedback, and the sequences of its latest update and of the latest of each field."""

    original: Content
    latest: int
    value_by: int
    weight_by: int
    metadata_by: int


class FeedbackState(msgspec.Struct, gc=False, array_like=True):
    """The state of one feedback. `home` and `created_at` never change, for they place its row; weight in billionths.

    `sequence` is that of its latest event, even if that changed nothing: versions are made from it. `call` is the
    digest of the call that created it, if the call had an idempotency key. `voted_by` is the sequence of the latest
    create of a vote; None: it is no vote.
    """

    feedback_id: str
    home: Specials
    created_at: int
    value: int
    weight: int
    specials: Specials
    metadata: bytes
    updated_at: int
    created_by: int
    sequence: int
    call: bytes = b""
    edits: Edits | None = None
    deleted_by: int | None = None
    voted_by: int | None = None

    @classmethod
    def create(cls, event: Created, sequence: int) -> "FeedbackState":
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
            sequence,
            sequence,
            call_of(event),
            voted_by=sequence if event.replaces else None,
        )

    @property
    def deleted(self) -> bool:
        return self.deleted_by is not None and (self.voted_by is None or self.deleted_by > self.voted_by)

    @property
    def changed_by(self) -> int:
        """The sequence of the event that last set its value, weight or metadata."""
        return self.edits.latest if self.edits else self.created_by

    def is_of_call(self, event: Created) -> bool:
        """Whether the create is of the call that made the feedback: the call was repeated, or its record read again."""
        return self.call != b"" and self.call == call_of(event)

    def apply(self, event: FeedbackEvent, sequence: int) -> bool:
        """Apply one more event. Returns whether it changes anything; an event that was applied before does not.

        Raises Conflict if it contradicts the state.
        """
        if isinstance(event, Created):
            changed = self._vote(event, sequence) if event.replaces else self._repeat(event, sequence)
        elif sequence < self.created_by:
            # Seen in a replay: the create came after this event, so when the event came there was nothing to change.
            raise Conflict("unknown_feedback", "The feedback was created after this change of it.")
        elif isinstance(event, Deleted):
            changed = self._delete(event, sequence)
        else:
            changed = self._update(event, sequence)
        self.sequence = max(self.sequence, sequence)
        return changed

    def _content(self) -> Content:
        return (self.value, self.weight, self.specials, self.metadata)

    def _edits(self) -> Edits:
        return self.edits or Edits(self._content(), *[self.created_by] * 4)

    def _repeat(self, event: Created, sequence: int) -> bool:
        if self.voted_by is not None:
            raise Conflict("id_reused", "This id is that of a vote.")
        sent = (event.value, billionths(event.weight), specials_of(event), bytes(event.metadata))
        held = self.edits.original if self.edits else self._content()
        if sequence != self.created_by and not _same(sent, held):
            raise Conflict("id_reused", "This id was created before with another value, weight or metadata.")
        return False

    def _vote(self, event: Created, sequence: int) -> bool:
        if self.voted_by is None:
            raise Conflict("id_reused", "This id was created before by a call that is no vote.")
        if sequence <= self.voted_by:
            return False
        edits = self._edits()
        if sequence > max(edits.latest, self.deleted_by or 0):
            self.updated_at = milliseconds(event.at)
        edits.latest, self.voted_by = max(edits.latest, sequence), sequence
        if sequence > edits.value_by:
            self.value, edits.value_by = event.value, sequence
        if sequence > edits.weight_by:
            self.weight, edits.weight_by = billionths(event.weight), sequence
        if sequence > edits.metadata_by:
            self.metadata, self.specials, edits.metadata_by = bytes(event.metadata), specials_of(event), sequence
        self.edits = edits
        return True

    def _delete(self, event: Deleted, sequence: int) -> bool:
        if self.voted_by is not None and sequence < self.voted_by:
            return False
        if self.deleted_by is not None and self.deleted and self.deleted_by <= sequence:
            return False
        self.deleted_by, self.updated_at = sequence, milliseconds(event.at)
        return True

    def _update(self, event: Updated, sequence: int) -> bool:
        if self.deleted_by is not None and self.deleted and self.deleted_by < sequence:
            if self.voted_by is not None:
                return False  # not refused, because a later vote would make it valid when it is read again
            raise Conflict("deleted_feedback", "The feedback was deleted before this update.")
        edits = self._edits()
        changed = sequence > edits.latest
        if changed:
            edits.latest = sequence
            if not self.deleted:
                self.updated_at = milliseconds(event.at)
        if event.value is not None and sequence > edits.value_by:
            self.value, edits.value_by, changed = event.value, sequence, True
        if event.weight is not None and sequence > edits.weight_by:
            self.weight, edits.weight_by, changed = billionths(event.weight), sequence, True
        if (metadata := field_json(event.metadata)) is not None and sequence > edits.metadata_by:
            self.metadata, self.specials = metadata, specials_of(event)
            edits.metadata_by, changed = sequence, True
        self.edits = edits
        return changed


def _same(sent: Content, held: Content) -> bool:
    """Whether two contents are equal; the keys of metadata may be in another order."""
    if sent == held:
        return True
    try:
        return sent[:3] == held[:3] and _canonical(sent[3]) == _canonical(held[3])
    except (ValueError, RecursionError):
        return False  # an integer too long or nesting too deep; the edge accepts neither


def _canonical(metadata: bytes) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(metadata), order="sorted")

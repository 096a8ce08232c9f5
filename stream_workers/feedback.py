"""One feedback as its events leave it, and what contradicts it.

An event whose sequence was already applied changes nothing, and the first create of an id is the one that counts. No
clock, no engine.
"""

import json

import msgspec

from stream_workers.aggregate import billionths
from stream_workers.decode import Created, Deleted, FeedbackEvent, Updated, given, milliseconds
from stream_workers.facts import Specials

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

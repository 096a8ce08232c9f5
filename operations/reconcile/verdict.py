"""Decides what to do about the stored rows of one feedback or trace, given the row that the journal yields. Pure.

The journal decides, unless the journal may be wrong. Nothing is changed where a row refers to an event or a request
that the journal lacks and nothing contradicts the row, or where the journal has holes and may have lost an event. A row
that is stored exactly as the journal has it confirms the journal.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from operations.reconcile.lost_places import JournalCoverage
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.join.snapshots import MOST_REQUESTS

_LAST = 2**64

MISSING, WRONG, UNKNOWN = "missing", "wrong", "that the journal does not account for"


class Row(NamedTuple):
    """A row reduced to digests: of its place, and of its content without the version."""

    place: int
    version: int
    content: int

    @property
    def sequence(self) -> int:
        return self.version >> 16

    @property
    def requests(self) -> int:
        return self.version & MOST_REQUESTS


@dataclass(frozen=True)
class Evidence:
    """What else is known of one feedback or trace.

    `own_places` are places in the log that a row refers to and where the journal has an event of the same trace, which
    yields no row without the lost events. `confirmed_until` is the place of the latest event of the trace if the
    aggregate of the trace is stored exactly as the journal has it. `is_suspect`: other rows there are not explained by
    the journal.
    """

    coverage: JournalCoverage
    partition: int
    own_places: Collection[int] = ()
    confirmed_until: int | None = None
    is_suspect: bool = False

    def refutes(self, row: Row, wanted: Row) -> bool:
        """Whether other stored data contradict a row that refers to more than the journal has."""
        confirmed = self.confirmed_until
        is_of_another_trace = row.sequence not in self.own_places and self.coverage.has_entry(
            (FEEDBACK_EVENTS, self.partition), row.sequence
        )
        is_after_confirmed = confirmed is not None and row.sequence > confirmed
        has_its_events = row.sequence <= wanted.sequence or is_of_another_trace or is_after_confirmed
        return has_its_events and (row.requests <= wanted.requests or confirmed is not None)

    def may_lack(self, wanted: Row, *, is_in_place: bool) -> bool:
        """Whether the journal may have lost an event or request that belongs into the wanted row. Where a row is in its
        place, the lost event precedes the last one in the journal. The first create may be lost as well; then the
        journal has a repetition in its place."""
        return (
            self.is_suspect
            or self.coverage.has_lost((FEEDBACK_EVENTS, self.partition), 0, wanted.sequence if is_in_place else _LAST)
            or self.coverage.has_lost((REQUEST_LOGS, self.partition), 0, _LAST)
        )


@dataclass(frozen=True)
class Verdict:
    """The kind of fault, the stored rows to remove, and whether the wanted row must be written.

    Where the kind is UNKNOWN, this is what to do if the journal is right.
    """

    kind: str
    removed: tuple[Row, ...]
    writes: bool


def is_as_wanted(wanted: Row, stored: Sequence[Row], *, is_deleted: bool) -> bool:
    """Whether nothing is to be done: the newest rows are the wanted one, and there is none in another place.

    A request that changes nothing else about its trace's feedback does not rewrite it, so the part of the version that
    counts requests may lag behind.
    """
    if not stored:
        return is_deleted
    newest = max(row.version for row in stored)
    contents = {row.content for row in stored if row.version == newest}
    # Versions that can no longer count their requests stand for several states.
    says_it = wanted.content in contents if wanted.requests == MOST_REQUESTS else contents == {wanted.content}
    is_in_place = all(row.place == wanted.place for row in stored)
    return says_it and is_in_place and newest <= wanted.version and newest >> 16 == wanted.sequence


def judge(wanted: Row, stored: Sequence[Row], evidence: Evidence) -> Verdict:
    """The verdict on stored rows that differ from the wanted row."""
    ahead = [row for row in stored if row.sequence > wanted.sequence or row.requests > wanted.requests]
    in_place = [row for row in stored if row.place == wanted.place and row not in ahead]
    newest = max((row.version for row in in_place), default=0)
    current = [row for row in in_place if row.version == newest]
    is_confirmed = newest >> 16 == wanted.sequence and any(row.content == wanted.content for row in current)
    misplaced = [row for row in stored if row not in in_place]
    # The content of older rows does not matter: the row that is written now replaces them.
    differing = [row for row in current if row.content != wanted.content and (is_confirmed or newest == wanted.version)]
    removed = tuple({*misplaced, *differing})
    # A merge may drop the right row for one that is to be removed, before that is gone.
    writes = not is_confirmed or any(row.place == wanted.place for row in removed)
    is_believed = all(evidence.refutes(row, wanted) for row in ahead) and (
        is_confirmed or not evidence.may_lack(wanted, is_in_place=bool(in_place))
    )
    if not is_believed:
        return Verdict(UNKNOWN, removed, writes)
    return Verdict(WRONG if stored else MISSING, removed, writes)

"""What is to be done about the stored rows of one feedback or trace, beside the row that its journal comes to. Pure.

The journal decides, unless it may be the journal that is wrong: where a row tells of an event or a request that the
journal does not hold and nothing contradicts the row, or where the journal has holes through which an event may have
been lost, nothing is touched. A row that is stored exactly as the journal has it bears the journal out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from operations.reconcile.lost_places import Books
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.join.snapshots import MOST_REQUESTS

_LAST = 2**64

MISSING, WRONG, UNKNOWN = "missing", "wrong", "that the journal does not account for"


class Row(NamedTuple):
    """A row in short: digests of its place and of its content without the version."""

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
class Known:
    """What is known beside the rows of one feedback or trace.

    `own` are those places in the log of which a row tells and where the journal has an event of the same trace, though
    it comes to nothing without what is lost. `borne_out_until` is the place of the latest event of its trace, where the
    aggregate of the trace is stored exactly as the journal has it. With `is_suspect` the journal does not account for
    something else there.
    """

    books: Books
    partition: int
    own: Collection[int] = ()
    borne_out_until: int | None = None
    is_suspect: bool = False

    def refutes(self, row: Row, wanted: Row) -> bool:
        """Whether a row that tells of more than the journal holds is refuted by something else that is stored."""
        seen = self.borne_out_until
        is_anothers = row.sequence not in self.own and self.books.accounts_for(
            (FEEDBACK_EVENTS, self.partition), row.sequence
        )
        has_its_events = row.sequence <= wanted.sequence or is_anothers or (seen is not None and row.sequence > seen)
        return has_its_events and (row.requests <= wanted.requests or seen is not None)

    def may_lack(self, wanted: Row, *, is_in_place: bool) -> bool:
        """Whether the journal may have lost an event or request that the wanted row should show. Where a row is in its
        place, that is an event before the last that the journal holds; the first create, too, may be lost, and what is
        taken for it a repetition."""
        return (
            self.is_suspect
            or self.books.has_lost((FEEDBACK_EVENTS, self.partition), 0, wanted.sequence if is_in_place else _LAST)
            or self.books.has_lost((REQUEST_LOGS, self.partition), 0, _LAST)
        )


@dataclass(frozen=True)
class Verdict:
    """What is wrong, which stored rows must go, and whether the wanted row must be written.

    Where the kind is UNKNOWN, that is what follows if the journal is taken to be right.
    """

    kind: str
    doomed: tuple[Row, ...]
    writes: bool


def is_as_wanted(wanted: Row, stored: Sequence[Row], *, is_deleted: bool) -> bool:
    """Whether nothing is to be done: the newest rows say what is wanted, and none is elsewhere.

    A request that changes nothing else about its trace's feedback does not rewrite it, so the part of the version that
    counts requests may lag behind.
    """
    if not stored:
        return is_deleted
    newest = max(row.version for row in stored)
    contents = {row.content for row in stored if row.version == newest}
    # Versions that cannot count their requests any more are those of several states.
    says_it = wanted.content in contents if wanted.requests == MOST_REQUESTS else contents == {wanted.content}
    is_in_place = all(row.place == wanted.place for row in stored)
    return says_it and is_in_place and newest <= wanted.version and newest >> 16 == wanted.sequence


def judge(wanted: Row, stored: Sequence[Row], known: Known) -> Verdict:
    """The verdict on stored rows that are not as wanted."""
    beyond = [row for row in stored if row.sequence > wanted.sequence or row.requests > wanted.requests]
    there = [row for row in stored if row.place == wanted.place and row not in beyond]
    newest = max((row.version for row in there), default=0)
    standing = [row for row in there if row.version == newest]
    is_borne_out = newest >> 16 == wanted.sequence and any(row.content == wanted.content for row in standing)
    strays = [row for row in stored if row not in there]
    # Older rows may say what they like: what is written now replaces them.
    others = [row for row in standing if row.content != wanted.content and (is_borne_out or newest == wanted.version)]
    doomed = tuple({*strays, *others})
    # A merge may drop the right row for one that is doomed, before that is gone.
    writes = not is_borne_out or any(row.place == wanted.place for row in doomed)
    is_believed = all(known.refutes(row, wanted) for row in beyond) and (
        is_borne_out or not known.may_lack(wanted, is_in_place=bool(there))
    )
    if not is_believed:
        return Verdict(UNKNOWN, doomed, writes)
    return Verdict(WRONG if stored else MISSING, doomed, writes)

"""What a poll comes to: rows, messages and the state it leaves behind, from its events and the state it starts from.

A pure decision, made slice by slice. A slice holds whole traces and is small enough that all it makes, from state to
messages, is still in the processor's cache when the next step needs it. Rows are made of several slices at a time, for
each column of a table has a price of its own (docs/design.md); after that there is room for other computing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from stream_workers.io.arrow_rows import tables
from stream_workers.io.output_messages import Hour, Message, hours_of, messages, touches
from stream_workers.join.decode import Arrival, Expired, Fault
from stream_workers.join.state_codec import Packed, pack, unpack
from stream_workers.join.trace_join import Changes, Claim, apply
from stream_workers.join.trace_state import Bucket, Entry


class Stored(Protocol):
    """Makes state, of each of these trace hashes, of what was read for it: the part of a look-up that computes."""

    def __call__(self, hashes: Collection[int], /) -> dict[int, Bucket]: ...

    def entries(self, trace_hash: int, /) -> Sequence[Entry]:
        """What was read for one trace hash, as long as its state was not asked for."""


class _Nothing:
    def __call__(self, hashes: Collection[int], /) -> dict[int, Bucket]:
        return {}

    def entries(self, trace_hash: int, /) -> Sequence[Entry]:
        return ()


NOTHING: Stored = _Nothing()
"""What is stored where nothing had to be read."""

SLICE = 128
"""Events from which on a slice takes no further trace."""

TURN = 1000
"""Events from which on rows are made, and a turn is over."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rows by table, messages, and the state left behind by trace hash."""

    rows: dict[str, pa.Table]
    messages: list[Message]
    left: dict[int, Packed]


@dataclass
class _Growing:
    """An outcome as slices and turns add to it."""

    rows: dict[str, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    messages: list[Message] = field(default_factory=list)
    left: dict[int, Packed] = field(default_factory=dict)
    hours: set[Hour] = field(default_factory=set)

    def add_rows(self, changes: Changes) -> None:
        for name, table in tables(changes).items():
            self.rows[name].append(table)

    def outcome(self) -> Outcome:
        rows = {name: pa.concat_tables(parts).combine_chunks() for name, parts in self.rows.items()}
        return Outcome(rows, self.messages + touches(self.hours), self.left)


def decide(
    arrivals: Sequence[Arrival],
    faults: Sequence[Fault],
    remembered: Mapping[int, Packed],
    stored: Stored,
    claimed: Mapping[Claim, str],
    compress_from: int,
) -> Iterator[Outcome | None]:
    """Decide a poll's arrivals, in their order, and what could not be read of it: None after each turn, then all.

    The state of every arrival's trace is in `remembered` or in what `stored` makes, and that of neither is changed
    but for what `unpack` hands out as it is. `claimed` has the digest to which each idempotency key belongs;
    `compress_from` is for `pack`.
    """
    growing, gathered = _Growing(), Changes(dead=list(faults))
    growing.messages += messages(gathered)
    for part in slices(arrivals):
        hashes = {arrival.trace_hash for arrival in part}
        entries = {h: stored.entries(h) for h in removed_by(part)}
        buckets = stored([h for h in hashes if h not in remembered])
        buckets |= {h: unpack(remembered[h]) for h in hashes if h in remembered}
        changes = apply(buckets, part, claimed, entries)
        growing.messages += messages(changes)
        growing.hours |= hours_of(changes)
        growing.left |= {trace_hash: pack(bucket, compress_from) for trace_hash, bucket in buckets.items()}
        gathered.add(changes)
        if len(gathered.journal) + len(gathered.dead) >= TURN:
            growing.add_rows(gathered)
            gathered = Changes()
            yield None
    growing.add_rows(gathered)
    yield growing.outcome()


def removed_by(arrivals: Iterable[Arrival]) -> set[int]:
    """The trace hashes that are to be removed: what follows from that is in the journal alone."""
    return {arrival.trace_hash for arrival in arrivals if type(arrival.event) is Expired}


def slices(arrivals: Sequence[Arrival]) -> list[list[Arrival]]:
    """The arrivals in slices, all of a trace in one."""
    slice_of: dict[int, int] = {}
    found: list[list[Arrival]] = []
    for arrival in arrivals:
        number = slice_of.get(arrival.trace_hash)
        if number is None:
            if not found or len(found[-1]) >= SLICE:
                found.append([])
            number = slice_of[arrival.trace_hash] = len(found) - 1
        found[number].append(arrival)
    return found

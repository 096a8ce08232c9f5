"""What a consumer batch leads to: rows, messages and new states, from its events and the states before them. Pure.

The work is done chunk by chunk. A chunk holds whole traces, and is small enough that everything made of it, from states
to messages, is still in the processor's cache when the next step needs it. Rows are made of several chunks at a time,
because each column of a table has a price of its own (docs/design.md); after that, other computing may run.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa

from stream_workers.io.arrow_rows import tables
from stream_workers.io.output_messages import HourStart, OutputMessage, changed_hours, messages, rollup_invalidations
from stream_workers.join.changes import Changes
from stream_workers.join.claims import Claim
from stream_workers.join.incoming_events import Expired, IncomingEvent, RejectedRecord, StateInvalidated
from stream_workers.join.state_codec import EncodedState, decode_state, encode_state
from stream_workers.join.trace_join import apply
from stream_workers.join.trace_state import Entry, HashBucket


class StoredStates(Protocol):
    """Makes the states of trace hashes from what a look-up has read: the part of the look-up that computes."""

    def __call__(self, hashes: Collection[int], /) -> dict[int, HashBucket]: ...

    def entries(self, trace_hash: int, /) -> Sequence[Entry]:
        """The journal's entries of one trace hash, until its state is asked for."""


class _NoStoredStates:
    def __call__(self, hashes: Collection[int], /) -> dict[int, HashBucket]:
        return {}

    def entries(self, trace_hash: int, /) -> Sequence[Entry]:
        return ()


NO_STORED_STATES: StoredStates = _NoStoredStates()
"""The stored states where nothing had to be read."""

CHUNK_EVENTS = 128
"""Events from which on a chunk takes no further trace."""

YIELD_EVERY_EVENTS = 1000
"""Events after which rows are made and other computing may run."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Rows by table, messages, and the new state of each trace hash."""

    rows: dict[str, pa.Table]
    messages: list[OutputMessage]
    states: dict[int, EncodedState]


@dataclass
class _ResultBuilder:
    """A batch result to which chunks are added."""

    rows: dict[str, list[pa.Table]] = field(default_factory=lambda: defaultdict(list))
    messages: list[OutputMessage] = field(default_factory=list)
    states: dict[int, EncodedState] = field(default_factory=dict)
    hours: set[HourStart] = field(default_factory=set)

    def add_rows(self, changes: Changes) -> None:
        for name, table in tables(changes).items():
            self.rows[name].append(table)

    def result(self) -> BatchResult:
        rows = {name: pa.concat_tables(parts).combine_chunks() for name, parts in self.rows.items()}
        return BatchResult(rows, self.messages + rollup_invalidations(self.hours), self.states)


def process_batch(
    events: Sequence[IncomingEvent],
    rejected: Sequence[RejectedRecord],
    cached: Mapping[int, EncodedState],
    stored: StoredStates,
    claimed: Mapping[Claim, str],
    compress_from: int,
) -> Iterator[BatchResult | None]:
    """Join the events of a batch in their order, and report its rejected records.

    Yields None whenever other computing may run, and the result at the end. The state of every event's trace is in
    `cached` or made by `stored`. Neither is changed, except for a large state, which `decode_state` returns uncopied.
    `claimed` has the digest to which each idempotency key belongs; `compress_from` is for `encode_state`.
    """
    builder, gathered = _ResultBuilder(), Changes(rejected=list(rejected))
    builder.messages += messages(gathered)
    for chunk in chunks(events):
        hashes = {incoming.trace_hash for incoming in chunk}
        entries = {h: stored.entries(h) for h in read_anew_by(chunk)}
        buckets = stored([h for h in hashes if h not in cached])
        buckets |= {h: decode_state(cached[h]) for h in hashes if h in cached}
        changes = apply(buckets, chunk, claimed, entries)
        builder.messages += messages(changes)
        builder.hours |= changed_hours(changes)
        builder.states |= {trace_hash: encode_state(bucket, compress_from) for trace_hash, bucket in buckets.items()}
        gathered.add(changes)
        if len(gathered.journal) + len(gathered.rejected) >= YIELD_EVERY_EVENTS:
            builder.add_rows(gathered)
            gathered = Changes()
            yield None
    builder.add_rows(gathered)
    yield builder.result()


def read_anew_by(events: Iterable[IncomingEvent]) -> set[int]:
    """The trace hashes that are invalidated or removed: only the journal tells what is known or remains of them."""
    return {incoming.trace_hash for incoming in events if type(incoming.event) in (StateInvalidated, Expired)}


def chunks(events: Sequence[IncomingEvent]) -> list[list[IncomingEvent]]:
    """The events in chunks, all events of a trace in one chunk."""
    chunk_of: dict[int, int] = {}
    found: list[list[IncomingEvent]] = []
    for incoming in events:
        number = chunk_of.get(incoming.trace_hash)
        if number is None:
            if not found or len(found[-1]) >= CHUNK_EVENTS:
                found.append([])
            number = chunk_of[incoming.trace_hash] = len(found) - 1
        found[number].append(incoming)
    return found

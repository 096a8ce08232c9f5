"""The states that a worker keeps between consumer batches: an LRU cache by trace hash.

A worker owns the partitions assigned to it, so a cached state of theirs is current and needs no look-up. The whole
cache is cleared when the assignment changes.
"""

from collections.abc import Collection, Mapping
from itertools import islice

from runtime.metrics import CACHE_TRACES
from stream_workers.join.state_codec import EncodedState

BYTES_PER_ENTRY = 250
"""Bytes that an entry takes beside its encoded state."""

COMPRESS_FROM = 512
COMPRESS_FROM_WHEN_FILLING = 256
"""Bytes from which on a state is compressed: at first, and once an eighth of the capacity is used."""


class TraceCache:
    """Encoded states by trace hash, in about `capacity` bytes at most."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # The least recently used first: a dictionary keeps the order of insertion.
        self._states: dict[int, EncodedState] = {}
        self._encoded_bytes = 0

    def __len__(self) -> int:
        return len(self._states)

    @property
    def compress_from(self) -> int:
        """Bytes from which on to compress a state now: as the cache fills, memory is worth more than time."""
        return COMPRESS_FROM if 8 * self._used_bytes < self._capacity else COMPRESS_FROM_WHEN_FILLING

    @property
    def _used_bytes(self) -> int:
        return self._encoded_bytes + len(self._states) * BYTES_PER_ENTRY

    def get(self, hashes: Collection[int]) -> dict[int, EncodedState]:
        """The cached states of these hashes; a hash without one is missing from the result."""
        found = {h: self._states[h] for h in hashes if h in self._states}
        CACHE_TRACES.add("hit", by=len(found))
        CACHE_TRACES.add("miss", by=len(hashes) - len(found))
        return found

    def put(self, states: Mapping[int, EncodedState]) -> None:
        """Cache these states as the most recent, and evict the least recently used beyond the capacity."""
        kept = self._states
        before = [kept.pop(trace_hash) for trace_hash in states if trace_hash in kept]
        kept.update(states)
        self._encoded_bytes += sum(map(len, states.values())) - sum(map(len, before))
        for trace_hash in self._to_evict():
            self._encoded_bytes -= len(kept.pop(trace_hash))

    def _to_evict(self) -> list[int]:
        """The least recently used hashes, as many as exceed the capacity.

        The newest is never among them: a trace larger than the cache would otherwise be read again for every batch.
        """
        kept = self._states
        excess = self._used_bytes - self._capacity
        found: list[int] = []
        # In one pass: to look for the first entry again and again passes over all entries deleted before it.
        for trace_hash, encoded in islice(kept.items(), max(0, len(kept) - 1)):
            if excess <= 0:
                break
            excess -= len(encoded) + BYTES_PER_ENTRY
            found.append(trace_hash)
        return found

    def clear(self) -> None:
        """Remove every state."""
        self._states.clear()
        self._encoded_bytes = 0

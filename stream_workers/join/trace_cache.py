"""The traces a worker remembers between polls, least recently used first out.

A worker owns the partitions assigned to it, so what it remembers of them is the truth and spares the look-up. All
of it is forgotten when the assignment changes.
"""

from collections.abc import Collection, Mapping
from itertools import islice

from runtime.metrics import CACHE_TRACES
from stream_workers.join.state_codec import Packed

BYTES_OF_A_PLACE = 250
"""What remembering a trace takes beside what is remembered of it."""

COMPRESS_FROM = 512
COMPRESS_FROM_WHEN_FILLING = 256
"""Bytes from which on what is remembered of a trace is compressed, and once an eighth of the room is taken."""


class TraceCache:
    """Packed buckets by trace hash, in no more than about `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # The least recently used first, as a dictionary keeps what is put in.
        self._buckets: dict[int, Packed] = {}
        self._packed_bytes = 0

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def compress_from(self) -> int:
        """Bytes from which on to compress what is remembered of a trace now: as it fills, room is worth time."""
        return COMPRESS_FROM if 8 * self._taken < self._capacity else COMPRESS_FROM_WHEN_FILLING

    @property
    def _taken(self) -> int:
        return self._packed_bytes + len(self._buckets) * BYTES_OF_A_PLACE

    def known(self, hashes: Collection[int]) -> dict[int, Packed]:
        """Those of the hashes that are remembered."""
        found = {h: self._buckets[h] for h in hashes if h in self._buckets}
        CACHE_TRACES.add("hit", by=len(found))
        CACHE_TRACES.add("miss", by=len(hashes) - len(found))
        return found

    def remember(self, buckets: Mapping[int, Packed]) -> None:
        """Keep these as the most recent, and let go of the oldest beyond the capacity."""
        held = self._buckets
        before = [held.pop(trace_hash) for trace_hash in buckets if trace_hash in held]
        held.update(buckets)
        self._packed_bytes += sum(map(len, buckets.values())) - sum(map(len, before))
        for trace_hash in self._too_many():
            self._packed_bytes -= len(held.pop(trace_hash))

    def _too_many(self) -> list[int]:
        """The least recently used, as many as there is no room for.

        Not the newest, however large: a trace of more than fits would otherwise be read anew for every poll.
        """
        held = self._buckets
        excess = self._taken - self._capacity
        found: list[int] = []
        # In one go: to look for the first again and again is to pass all that were let go before it.
        for trace_hash, packed in islice(held.items(), max(0, len(held) - 1)):
            if excess <= 0:
                break
            excess -= len(packed) + BYTES_OF_A_PLACE
            found.append(trace_hash)
        return found

    def forget(self) -> None:
        """Remember nothing."""
        self._buckets.clear()
        self._packed_bytes = 0

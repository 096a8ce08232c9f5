"""The traces a worker remembers between polls, least recently used first out.

A worker owns the partitions assigned to it, so what it remembers of them is the truth and spares the look-up. All
of it is forgotten when the assignment changes.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from schemas.metrics import CACHE_TRACES
from stream_workers.packed import Packed

BYTES_OF_A_PLACE = 200
"""What remembering a trace takes beside what is remembered of it."""


class TraceCache:
    """Packed buckets by trace hash, in no more than about `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._buckets: OrderedDict[int, Packed] = OrderedDict()
        self._packed_bytes = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def known(self, hashes: Collection[int]) -> dict[int, Packed]:
        """Those of the hashes that are remembered."""
        found = {h: self._buckets[h] for h in hashes if h in self._buckets}
        CACHE_TRACES.add("hit", by=len(found))
        CACHE_TRACES.add("miss", by=len(hashes) - len(found))
        return found

    def remember(self, buckets: Mapping[int, Packed]) -> None:
        """Keep these as the most recent, and let go of the oldest beyond the capacity."""
        held = self._buckets
        for trace_hash, packed in buckets.items():
            if (before := held.pop(trace_hash, None)) is not None:
                self._packed_bytes -= len(before)
            held[trace_hash] = packed
            self._packed_bytes += len(packed)
        # The newest stays, however large: a trace of more than fits would otherwise be read anew for every poll.
        while self._packed_bytes + len(held) * BYTES_OF_A_PLACE > self._capacity and len(held) > 1:
            _, oldest = held.popitem(last=False)
            self._packed_bytes -= len(oldest)

    def forget(self) -> None:
        """Remember nothing."""
        self._buckets.clear()
        self._packed_bytes = 0

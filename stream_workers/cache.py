"""The traces a worker remembers between polls, least recently used first out.

A worker owns the partitions assigned to it, so what it remembers of them is the truth and spares the look-up. All
of it is forgotten when the assignment changes. `capacity` counts feedback, requests and traces, not bytes.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping

from schemas.metrics import CACHE_TRACES
from stream_workers.state import Bucket


class TraceCache:
    """Buckets by trace hash, bounded by what they hold."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._buckets: OrderedDict[int, tuple[Bucket, int]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def known(self, hashes: Collection[int]) -> dict[int, Bucket]:
        """Those of the hashes that are remembered."""
        found = {h: self._buckets[h][0] for h in hashes if h in self._buckets}
        CACHE_TRACES.add("hit", by=len(found))
        CACHE_TRACES.add("miss", by=len(hashes) - len(found))
        return found

    def remember(self, buckets: Mapping[int, Bucket]) -> None:
        """Keep these as the most recent, and let go of the oldest beyond the capacity."""
        held = self._buckets
        for trace_hash, bucket in buckets.items():
            before = held.pop(trace_hash, None)
            size = bucket.size
            held[trace_hash] = (bucket, size)
            self._size += size - (before[1] if before else 0)
        # The newest stays, however large: a trace of more than fits would otherwise be read anew for every poll.
        while self._size > self._capacity and len(held) > 1:
            _, (_, size) = held.popitem(last=False)
            self._size -= size

    def forget(self) -> None:
        """Remember nothing."""
        self._buckets.clear()
        self._size = 0

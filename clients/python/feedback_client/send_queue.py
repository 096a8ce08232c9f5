"""The items that wait to be sent or are being sent, bounded by number and by bytes. Any thread may use it."""

import threading
from collections import Counter, deque
from dataclasses import dataclass

from feedback_client.items import PATHS, Item


@dataclass(frozen=True)
class Counts:
    """What became of the items of a client, since it was made or its process was forked."""

    queued: int = 0
    """Taken into the queue."""
    sent: int = 0
    """Accepted by the server."""
    refused: int = 0
    """Refused by the server for good, or faulty in a hook."""
    dropped: int = 0
    """Lost because the queue was full, the server failed on them each time, or the client was closed before."""
    retried: int = 0
    """Calls that were repeated."""


class SendQueue:
    """Holds items until they are settled. `linger_s` is how long a call waits for more items to join it."""

    def __init__(
        self, max_items: int, max_bytes: int, linger_s: float, bulk_items: int = 500, bulk_bytes: int = 1_000_000
    ) -> None:
        self._max_items, self._max_bytes = max_items, max_bytes
        self._linger_s = linger_s
        self._bulk_items, self._bulk_bytes = bulk_items, bulk_bytes
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Item]] = {path: deque() for path in PATHS}
        self._last = PATHS[-1]
        self._held_items = self._held_bytes = 0
        self._queued, self._settled, self._flushed_up_to = Counter[str](), Counter[str](), Counter[str]()
        self._sent = self._refused = self._dropped = self._retried = 0
        self._is_closed = False

    @property
    def counts(self) -> Counts:
        with self._changed:
            return Counts(self._queued.total(), self._sent, self._refused, self._dropped, self._retried)

    def put(self, item: Item) -> bool:
        """Take an item in; False where it was dropped, because the queue is full or closed."""
        with self._changed:
            too_many = self._held_items >= self._max_items or self._held_bytes + len(item.body) > self._max_bytes
            if self._is_closed or too_many:
                self._dropped += 1
                return False
            self._queued[item.path] += 1
            self._held_items += 1
            self._held_bytes += len(item.body)
            self._waiting[item.path].append(item)
            if len(self._waiting[item.path]) in (1, self._bulk_items):
                self._changed.notify_all()
            return True

    def take(self) -> list[Item] | None:
        """The items of the next call, all of one path, as soon as there are some; None once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or any(self._waiting.values()))
            if not self._is_closed:
                self._changed.wait_for(self._is_due, self._linger_s)
            if self._is_closed:
                return None
            # By turns, so that neither kind waits for the other.
            path = next(each for each in sorted(PATHS, key=lambda path: path == self._last) if self._waiting[each])
            self._last = path
            return self._bulk(self._waiting[path])

    def settle(self, items: list[Item], *, sent: bool = False, refused: bool = False) -> None:
        """Let go of items that were sent or refused, or else dropped."""
        with self._changed:
            self._held_items -= len(items)
            self._held_bytes -= sum(len(each.body) for each in items)
            self._settled.update(each.path for each in items)
            if sent:
                self._sent += len(items)
            elif refused:
                self._refused += len(items)
            else:
                self._dropped += len(items)
            self._changed.notify_all()

    def refuse(self) -> None:
        """Count an item that was too faulty to be queued."""
        with self._changed:
            self._refused += 1

    def repeated(self) -> None:
        """Count a call that is made again."""
        with self._changed:
            self._retried += 1

    def flush(self, timeout: float | None) -> bool:
        """Wait until all that is held now is settled; False where that took too long."""
        with self._changed:
            self._flushed_up_to = goal = self._queued.copy()
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= goal, timeout)

    def close(self) -> int:
        """Take no more, and drop what waits; how many items that were."""
        with self._changed:
            self._is_closed = True
            left = [item for items in self._waiting.values() for item in items]
            for items in self._waiting.values():
                items.clear()
            self.settle(left)
            return len(left)

    def _is_due(self) -> bool:
        is_full = any(len(items) >= self._bulk_items for items in self._waiting.values())
        return is_full or self._is_closed or not self._settled >= self._flushed_up_to

    def _bulk(self, waiting: deque[Item]) -> list[Item]:
        bulk = [waiting.popleft()]
        size = len(bulk[0].body)
        while waiting and len(bulk) < self._bulk_items and size + len(waiting[0].body) <= self._bulk_bytes:
            bulk.append(waiting.popleft())
            size += len(bulk[-1].body)
        return bulk

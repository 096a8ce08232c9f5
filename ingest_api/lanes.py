"""What waits for one partition, in the order of its calls, and what of it is under way.

A call has a share in each partition that it reaches. Whether a lane's batch is sent, and what comes of it, is the
publisher's.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from ingest_api.records import Record


@dataclass(slots=True, eq=False)
class Call:
    """One publish. `shares` are those that Kafka has not acknowledged."""

    shares: int
    done: asyncio.Future[None]
    handed_over: bool = False

    def acknowledge_share(self) -> None:
        """One share has arrived; after the last one the call is done."""
        self.shares -= 1
        if not self.shares and not self.done.done():
            self.done.set_result(None)


@dataclass(slots=True, eq=False)
class Share:
    """What a call has in one partition. `size` is in bytes and counts as in flight until the share is acknowledged."""

    call: Call
    records: list[Record]
    size: int


@dataclass(slots=True, eq=False)
class Lane:
    """One partition of one topic; `busy` while a batch is under way, and `due` if it should have been sent then."""

    place: TopicPartition
    waiting: deque[Share] = field(default_factory=deque)
    under_way: list[Share] = field(default_factory=list)
    busy: bool = False
    due: bool = False

    def fill(self, batch: Any) -> int:
        """Move what fits from what waits into the batch; the bytes of calls that were over before. A first record fits.

        `batch` is aiokafka's builder.
        """
        dropped = 0
        while self.waiting:
            share = self.waiting[0]
            if share.call.done.done():
                # Its caller has been told that it timed out, so it must not be published after all.
                dropped += share.size
            else:
                taken = _append(share.records, batch)
                if taken:
                    share.call.handed_over = True
                if taken < len(share.records):
                    if taken:
                        self.under_way.append(Share(share.call, share.records[:taken], 0))
                        share.call.shares += 1
                        share.records = share.records[taken:]
                    break
                self.under_way.append(share)
            self.waiting.popleft()
        return dropped

    def calls(self) -> list[Call]:
        """The calls of everything that is not acknowledged."""
        return [share.call for share in (*self.under_way, *self.waiting)]


def _append(records: list[Record], batch: Any) -> int:
    """Append records until the batch is full; how many fitted."""
    append = batch.append
    for count, record in enumerate(records):
        if append(timestamp=record.at_ms, key=record.key, value=record.value) is None:
            return count
    return len(records)

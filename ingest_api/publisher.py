"""Gathers the events of many calls for a moment and hands them to Kafka, one batch per topic and partition.

Promises that `publish` returns only after Kafka has acknowledged every record of the call, and otherwise raises
within the produce timeout; that a partition's records keep the order of their calls; and that what is in flight is
bounded in bytes. A partition has one batch under way at a time: aiokafka would only queue a second one, while
here it still grows.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.errors import KafkaError

from ingest_api.errors import RefusedError, UnavailableError
from ingest_api.kafka_link import MAX_REQUEST_BYTES, KafkaLink
from ingest_api.records import Record
from ingest_api.settings import Settings
from schemas.ids import partition_of

# What a topic takes, less what Kafka adds to a record.
MAX_EVENT_BYTES = MAX_REQUEST_BYTES - 8192

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Call:
    """One publish: resolved when nothing of it is unacknowledged."""

    unacknowledged: int
    done: asyncio.Future[None]
    handed_over: bool = False


@dataclass(slots=True, eq=False)
class _Lane:
    """One partition of one topic: what waits, and the calls of the batch that is under way."""

    topic: str
    partition: int
    waiting: deque[tuple[Record, _Call]] = field(default_factory=deque)
    under_way: list[_Call] = field(default_factory=list)
    sending: asyncio.Task[None] | None = None


class Publisher:
    """Publishes the records of calls. `start` and `stop` frame its life; Kafka may be away during all of it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._link = KafkaLink(settings, self._fail_all)
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._in_flight_bytes = 0
        self._gathering: asyncio.TimerHandle | None = None
        self._gathered: list[_Call] = []

    @property
    def fault(self) -> str:
        """Why nothing can be published now, in one sentence; empty when it can."""
        return self._link.fault

    def start(self) -> None:
        """Connect in the background."""
        self._link.start()

    async def stop(self) -> None:
        """Close, after the calls that are under way; whatever is then not acknowledged soon fails."""
        await self._link.stop()
        self._fail_all("the edge is shutting down")

    async def publish(self, records: Sequence[Record]) -> None:
        """Return when Kafka has acknowledged all records; UnavailableError otherwise, in bounded time."""
        link = self._link
        if link.fault or link.producer is None:
            raise UnavailableError(link.fault)
        size = 0
        for record in records:
            size += record.size
            if len(record.value) > MAX_EVENT_BYTES:
                raise RefusedError(
                    f"an event of this call has {len(record.value)} bytes, and Kafka takes at most {MAX_EVENT_BYTES}",
                    status=413,
                )
        # A call that is larger than the whole bound may still pass alone.
        if self._in_flight_bytes and self._in_flight_bytes + size > self._settings.max_in_flight_bytes:
            raise UnavailableError(f"{self._in_flight_bytes} bytes of events already wait for Kafka")
        loop = asyncio.get_running_loop()
        call = _Call(len(records), loop.create_future())
        self._in_flight_bytes += size
        for record in records:
            self._lane(record.topic, partition_of(record.trace_hash, link.partitions)).waiting.append((record, call))
        if self._gathering is None:
            self._gathering = loop.call_later(self._settings.linger_ms / 1000, self._flush)
            # One timer for all calls that gather together: one for each would cost more than its share of a batch.
            self._gathered = []
            loop.call_later(self._settings.produce_timeout_s, self._expire, self._gathered)
        self._gathered.append(call)
        await call.done

    def _expire(self, calls: list[_Call]) -> None:
        why = f"Kafka did not acknowledge within {self._settings.produce_timeout_s:g} s"
        for call in calls:
            if not call.done.done():
                call.done.set_exception(UnavailableError(why, call.handed_over))

    def _lane(self, topic: str, partition: int) -> _Lane:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(topic, partition)
        return lane

    def _flush(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        for lane in self._lanes.values():
            if lane.waiting and lane.sending is None:
                lane.sending = asyncio.create_task(self._send(lane))

    async def _send(self, lane: _Lane) -> None:
        """Send one batch of what waits in a lane; then the next, which has grown meanwhile."""
        link = self._link
        producer = link.producer
        timeout_s = self._settings.produce_timeout_s
        try:
            batch = producer.create_batch()
            size = self._fill(batch, lane)
            if lane.under_way:
                link.require(lane.topic)
                async with asyncio.timeout(timeout_s):
                    await (await producer.send_batch(batch, lane.topic, partition=lane.partition))
                acknowledged, lane.under_way = lane.under_way, []
                self._in_flight_bytes -= size
                for call in acknowledged:
                    call.unacknowledged -= 1
                    if not call.unacknowledged and not call.done.done():
                        call.done.set_result(None)
        except TimeoutError:
            link.replace(f"Kafka did not acknowledge within {timeout_s:g} s")
        except KafkaError as error:
            link.replace(f"Kafka did not take a batch ({type(error).__name__})")
        except Exception:
            log.exception("a batch could not be sent")
            link.replace("a batch could not be sent: see the log")
        finally:
            lane.sending = None
            if lane.waiting:
                self._flush()

    def _fill(self, batch: Any, lane: _Lane) -> int:
        """Move what fits from the lane into the batch; its size in bytes. A first record always fits."""
        size = 0
        while lane.waiting:
            record, call = lane.waiting[0]
            if call.done.done():
                # Its caller has been told that it timed out, so it must not be published after all.
                self._in_flight_bytes -= record.size
            elif batch.append(timestamp=record.at_ms, key=record.key, value=record.value) is None:
                break
            else:
                call.handed_over = True
                lane.under_way.append(call)
                size += record.size
            lane.waiting.popleft()
        return size

    def _fail_all(self, why: str) -> None:
        """Fail every call, because the producer that held their records is gone, and begin with empty lanes."""
        lanes, self._lanes = self._lanes, {}
        self._in_flight_bytes = 0
        for lane in lanes.values():
            calls = lane.under_way + [call for _, call in lane.waiting]
            lane.waiting.clear()
            if lane.sending is not None and lane.sending is not asyncio.current_task():
                lane.sending.cancel()
            for call in calls:
                if not call.done.done():
                    call.done.set_exception(UnavailableError(why, call.handed_over))

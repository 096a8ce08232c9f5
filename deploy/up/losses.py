"""Finds the records that were lost when the embedded broker died: accepted, but not stored by a worker.

The broker keeps records in memory. After its death only the edge knows how many records it had sent to each partition.
Those that were there before the edge started are asked of the broker at that start. Neither knows what commands have
sent since, so more may be lost than is found. The losses are noted in ClickHouse, and `feedback audit` counts them
until an operator acknowledges them.
"""

import asyncio
import contextlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from clickhouse_connect.driver.exceptions import ClickHouseError
from prometheus_client.parser import text_string_to_metric_families

from deploy.up.readiness import text_at
from operations.connections import CommandError, connect
from operations.lost_records import SequenceRange, store_losses
from operations.record_places import count_unstored, highest_stored
from runtime.kafka_offsets import Offsets
from runtime.metrics import RECORDS_ACKNOWLEDGED


@dataclass(frozen=True)
class AcknowledgedRecords:
    """How many records of each partition the broker had acknowledged to an edge; `start` is the number of that edge."""

    start: int
    records: Offsets

    def since(self, earlier: "AcknowledgedRecords") -> Offsets:
        """The records that were acknowledged since then, or since the start of an edge that was started meanwhile."""
        if earlier.start != self.start:
            return self.records
        return {place: count - earlier.records.get(place, 0) for place, count in self.records.items()}


def ends_of_lost_log(before_edge: Offsets, sent: Offsets) -> Offsets:
    """The end of each partition: what it had when the last edge started, and what this edge has sent to it."""
    return {place: before_edge.get(place, 0) + sent.get(place, 0) for place in before_edge.keys() | sent.keys()}


NOTHING = AcknowledgedRecords(0, {})
"""The state before the first edge."""


async def acknowledged(host: str, port: int, start: int) -> AcknowledgedRecords | None:
    """The present numbers of the edge; None where it does not answer."""
    text = await text_at(host, port, "/metrics")
    if text is None:
        return None
    records = {
        (sample.labels["topic"], int(sample.labels["partition"])): int(sample.value)
        for family in text_string_to_metric_families(text)
        if family.name == RECORDS_ACKNOWLEDGED.name
        for sample in family.samples
    }
    return AcknowledgedRecords(start, records)


class BrokerLosses:
    """Remembers what the edge had sent at the last two deaths of the embedded broker."""

    def __init__(self, clickhouse_url: str, say: Callable[[str], None]) -> None:
        self._clickhouse_url, self._say = clickhouse_url, say
        self._sent: AcknowledgedRecords | None = NOTHING
        self._sent_before: AcknowledgedRecords | None = NOTHING
        self._before_edge: Offsets | None = {}
        self._before_edge_of_lost: Offsets | None = {}

    def edge_starts(self, ends: Offsets | None) -> None:
        """Remember the ends of a log that others have sent to before this edge; None where they are not known."""
        self._before_edge = ends

    async def broker_died(self, host: str, port: int, start: int) -> None:
        """Ask the edge at this address before it sends anything to the next broker."""
        self._sent_before, self._sent = self._sent, await acknowledged(host, port, start)
        self._before_edge_of_lost, self._before_edge = self._before_edge, {}

    async def report(self, base: int) -> None:
        """Note and report the losses of the log with this offset base. Its workers must have ended."""
        lost: int | None = None
        before_edge = self._before_edge_of_lost
        if self._sent is not None and self._sent_before is not None and before_edge is not None:
            ends = ends_of_lost_log(before_edge, self._sent.since(self._sent_before))
            with contextlib.suppress(CommandError, ClickHouseError):
                lost = await asyncio.to_thread(note_lost, self._clickhouse_url, base, ends)
        if lost == 0:
            self._say("nothing that was accepted died with the broker.")
            return
        count = "an unknown number of accepted records" if lost is None else f"{lost:,} accepted records"
        counted = "" if lost is None else "; `feedback audit` counts them until they are acknowledged"
        self._say(f"{count} died with the broker before a worker had stored them, and are lost{counted}.")


def note_lost(clickhouse_url: str, base: int, ends: Offsets) -> int:
    """Note the records of a lost log that were not stored; how many they are. CommandError, ClickHouseError."""
    logs = {place: SequenceRange(base, base + end) for place, end in ends.items()}
    whole = {place: [log] for place, log in logs.items()}
    with closing(connect(clickhouse_url)) as client:
        lost = {place: count for place, count in count_unstored(client, whole).items() if count}
        highest = highest_stored(client, {place: logs[place] for place in lost})
        store_losses(client, [(place, _end_of(logs[place], highest.get(place), lost[place])) for place in lost])
    return sum(lost.values())


def _end_of(log: SequenceRange, highest: int | None, lost: int) -> SequenceRange:
    """The end of the log where exactly that is lost, which is most often so; else the whole log."""
    end = SequenceRange(log.first if highest is None else highest + 1, log.end)
    return end if end.end - end.first == lost else log

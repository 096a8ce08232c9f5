"""Sets the offsets of the workers' group back, so that the workers read records again.

Replaying does not change correct rows: a row is a function of its records, so the same row is written again. An offset
is never set forward, which would skip records. Kafka takes no offsets for a group that has members.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError
from aiokafka.structs import OffsetAndTimestamp

from operations.connections import CommandError, kafka
from runtime.kafka_consumer import started_consumer
from runtime.kafka_offsets import Offsets, committed_offsets, end_offsets, start_offsets


@dataclass(frozen=True)
class ReplayStep:
    """How one partition is set back: from its commit to `target`. Its log has records from `start` on."""

    topic: str
    partition: int
    start: int
    committed: int
    target: int

    @property
    def records(self) -> int:
        """How many records are read again."""
        return self.committed - self.target


@dataclass(frozen=True)
class ReplayRequest:
    """What to read again: from an offset or a time on, of these topics, and of one partition or all."""

    since: int | datetime
    topics: tuple[str, ...]
    partition: int | None = None


def plan(wanted: Mapping[tuple[str, int], int], starts: Offsets, committed: Offsets) -> list[ReplayStep]:
    """The steps back to the wanted offsets, or to the start of a log. Partitions without a commit are left out."""
    steps = []
    for (topic, partition), offset in sorted(wanted.items()):
        place = (topic, partition)
        if place in committed and max(offset, starts[place]) < committed[place]:
            target = max(offset, starts[place])
            steps.append(ReplayStep(topic, partition, starts[place], committed[place], target))
    return steps


def deleted_records(wanted: Mapping[tuple[str, int], int], starts: Offsets) -> dict[tuple[str, int], int]:
    """How many of the wanted records Kafka has deleted, by partition."""
    return {place: starts[place] - offset for place, offset in wanted.items() if offset < starts[place]}


def steps_back(
    bootstrap: str, group: str, wanted: ReplayRequest
) -> tuple[list[ReplayStep], dict[tuple[str, int], int]]:
    """The steps, and how many of the wanted records Kafka has deleted. CommandError where Kafka does not answer."""
    return kafka(bootstrap, _steps_back(bootstrap, group, wanted))


async def _steps_back(
    bootstrap: str, group: str, wanted: ReplayRequest
) -> tuple[list[ReplayStep], dict[tuple[str, int], int]]:
    starts = await start_offsets(bootstrap, wanted.topics)
    ends = await end_offsets(bootstrap, wanted.topics)
    if missing := set(wanted.topics) - {topic for topic, _ in starts}:
        raise CommandError(f"There is no topic {min(missing)} in Kafka at {bootstrap}: is that the workers' Kafka?")
    places = {place for place in starts if wanted.partition in (None, place[1])}
    if not places:
        last = max(partition for _, partition in starts)
        raise CommandError(f"There is no partition {wanted.partition}: give one from 0 to {last}, or all.")
    committed = await committed_offsets(bootstrap, group, wanted.topics)
    if not committed:
        raise CommandError(f"The group {group} has committed nothing in Kafka at {bootstrap}: is it the workers'?")
    if isinstance(wanted.since, datetime):
        offsets = await _offsets_at(bootstrap, wanted.since, {place: ends[place] for place in places})
        return plan(offsets, starts, committed), {}
    offsets = dict.fromkeys(places, wanted.since)
    return plan(offsets, starts, committed), deleted_records(offsets, starts)


async def _offsets_at(bootstrap: str, since: datetime, ends: Offsets) -> Offsets:
    """The offset of the first record of each partition at or after this time; its end where there is none."""
    at_ms = int(since.timestamp() * 1000)
    async with started_consumer(bootstrap) as consumer:
        found = await consumer.offsets_for_times({TopicPartition(*place): at_ms for place in ends})
    return {place: _first(found.get(TopicPartition(*place)), end) for place, end in ends.items()}


def _first(found: OffsetAndTimestamp | None, end: int) -> int:
    """The offset that was found; where there is no such record, Kafka finds nothing, and the embedded broker something
    without a time."""
    if found is None or found.timestamp is None or found.timestamp < 0:
        return end
    return found.offset


def set_back(bootstrap: str, group: str, steps: Iterable[ReplayStep]) -> None:
    """Set the offsets. CommandError where a worker has joined the group meanwhile; then none is set."""
    kafka(bootstrap, _set_back(bootstrap, group, steps))


async def _set_back(bootstrap: str, group: str, steps: Iterable[ReplayStep]) -> None:
    offsets = {TopicPartition(each.topic, each.partition): each.target for each in steps}
    try:
        async with started_consumer(bootstrap, group_id=group) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
    except CommitFailedError:
        raise CommandError(f"A worker has joined the group {group} meanwhile. Nothing was changed.") from None

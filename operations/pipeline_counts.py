"""Counts of the pipeline: offsets of the topics that programs read, and rows of all workspaces together."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from operations.connections import kafka, offset_base
from operations.lost_records import merge_ranges, read_losses
from operations.pipeline_progress import GroupOffsets, GroupPartition, Offsets
from operations.record_places import count_unstored
from runtime.concurrent_calls import answers_of
from runtime.kafka_offsets import committed_offsets, end_offsets, start_offsets

_STORED = ("journal", "expired_records")


class Counts(NamedTuple):
    """How many records of the input topics are stored, dead, erased and lost since their log began. `earlier` are those
    that are stored of earlier logs, as of the embedded broker before its last start.

    A record that was read twice may count twice as stored until ClickHouse has merged its rows; `feedback audit` counts
    each once.
    """

    stored: int
    dead: int
    erased: int
    lost: int
    acknowledged: int
    earlier: int

    def beyond(self, accepted: int) -> int:
        """How many more they are than the accepted records: so many rows at least are of records read twice."""
        return max(0, self.stored + self.dead + self.erased + self.lost + self.acknowledged - accepted)


def read_offsets(bootstrap: str, groups: Mapping[str, Sequence[str]]) -> GroupOffsets:
    """The offsets of the topics that each group reads. CommandError where Kafka does not answer."""
    return kafka(bootstrap, _read_offsets(bootstrap, groups))


async def _read_offsets(bootstrap: str, groups: Mapping[str, Sequence[str]]) -> GroupOffsets:
    topics = sorted({topic for read in groups.values() for topic in read})
    # Commits are read first, so that they lie below the ends, which are read later.
    committed = await answers_of(*[committed_offsets(bootstrap, group, read) for group, read in groups.items()])
    starts, ends = await answers_of(start_offsets(bootstrap, topics), end_offsets(bootstrap, topics))
    return {
        GroupPartition(group, topic, partition): Offsets(
            starts.get((topic, partition), 0), end, commits.get((topic, partition))
        )
        for (group, read), commits in zip(groups.items(), committed, strict=True)
        for (topic, partition), end in sorted(ends.items())
        if topic in read
    }


def read_counts(client: Client, given_base: int | None) -> Counts:
    """The counts of all workspaces together. Raises what the client raises."""
    base = offset_base(client, given_base)
    of_this_log = f" WHERE sequence >= {base}" if base else ""
    # Without a condition, ClickHouse takes each count from the metadata of its parts.
    counted = [f"{table}{of_this_log}" for table in (*_STORED, "dead_letters", "erased_records")] + [*_STORED]
    rows = client.query(f"SELECT {', '.join(f'(SELECT count() FROM feedback.{rows})' for rows in counted)}").result_rows
    journal, expired, dead, erased, *ever_stored = map(int, rows[0])
    stored = journal + expired
    losses = read_losses(client)
    lost = count_unstored(client, {place: each.open for place, each in losses.items()})
    known = count_unstored(client, {place: merge_ranges(each.acknowledged) for place, each in losses.items()})
    return Counts(stored, dead, erased, sum(lost.values()), sum(known.values()), sum(ever_stored) - stored)

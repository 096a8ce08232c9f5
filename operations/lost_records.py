"""Records that Kafka deleted before a worker read them, and which of these an operator has acknowledged.

Workers note the records that they find gone. Records before the start of a log that are not committed are gone as well,
even if no worker has noticed. Losses are ranges of sequences, so a loss that is noted twice counts once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

_NOTED = """
SELECT toString(topic), kafka_partition, is_acknowledged, first_sequence, end_sequence FROM feedback.lost_records FINAL
"""


class SequenceRange(NamedTuple):
    """Sequences from `first` to before `end`."""

    first: int
    end: int


Place = tuple[str, int]
"""A topic and a partition."""


@dataclass
class Losses:
    """The lost records of one partition, and those of them that an operator has acknowledged."""

    lost: list[SequenceRange] = field(default_factory=list)
    acknowledged: list[SequenceRange] = field(default_factory=list)

    @property
    def known(self) -> list[SequenceRange]:
        """All losses, each sequence once."""
        return merge_ranges(self.lost + self.acknowledged)

    @property
    def open(self) -> list[SequenceRange]:
        """The losses that are not acknowledged."""
        return subtract_ranges(merge_ranges(self.lost), merge_ranges(self.acknowledged))


def merge_ranges(ranges: Iterable[SequenceRange]) -> list[SequenceRange]:
    """The same sequences in the fewest ranges, sorted."""
    found: list[SequenceRange] = []
    for each in sorted(ranges):
        if each.first >= each.end:
            continue
        if found and each.first <= found[-1].end:
            found[-1] = SequenceRange(found[-1].first, max(found[-1].end, each.end))
        else:
            found.append(each)
    return found


def subtract_ranges(ranges: Iterable[SequenceRange], others: Iterable[SequenceRange]) -> list[SequenceRange]:
    """Merged ranges without the sequences of other merged ranges."""
    left = list(ranges)
    for other in others:
        cut = (
            (SequenceRange(each.first, min(each.end, other.first)), SequenceRange(max(each.first, other.end), each.end))
            for each in left
        )
        left = [part for part in chain.from_iterable(cut) if part.first < part.end]
    return left


def clip_ranges(ranges: Iterable[SequenceRange], first: int, end: int) -> list[SequenceRange]:
    """The parts of these ranges from `first` to before `end`."""
    return merge_ranges(SequenceRange(max(each.first, first), min(each.end, end)) for each in ranges)


def read_losses(client: Client) -> dict[Place, Losses]:
    """All noted losses, by partition. Raises what the client raises."""
    found: dict[Place, Losses] = {}
    for topic, partition, is_acknowledged, first, end in client.query(_NOTED).result_rows:
        losses = found.setdefault((topic, int(partition)), Losses())
        (losses.acknowledged if is_acknowledged else losses.lost).append(SequenceRange(int(first), int(end)))
    return found


def store_losses(
    client: Client, losses: Iterable[tuple[Place, SequenceRange]], *, is_acknowledged: bool = False, text: str = ""
) -> None:
    """Note these ranges as lost, or as acknowledged. Returns when ClickHouse has stored it."""
    rows = [(topic, partition, *each, int(is_acknowledged), text) for (topic, partition), each in losses]
    if rows:
        client.insert(
            "feedback.lost_records",
            rows,
            column_names=["topic", "kafka_partition", "first_sequence", "end_sequence", "is_acknowledged", "note"],
            settings={"async_insert": 0},
        )

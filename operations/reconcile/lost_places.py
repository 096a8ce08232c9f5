"""Finds records that the journal has lost: places in the log without any entry, although later places have one.

Each record that a worker has read has an entry in the journal, in the dead letters, or in the erased places. A place
without an entry that lies before one with an entry is a hole: its record was lost, or never existed, because a log that
starts at a new offset base leaves the same hole in all partitions.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from clickhouse_connect.driver.client import Client

from operations.broker_offsets import GAP
from operations.lost_records import Place, SequenceRange, merge_ranges, read_losses, subtract_ranges
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

_MOST_HOLES = 1_000_000
_SORTED_ON_DISK_FROM = 1_000_000_000
_HOLES = f"""
WITH places AS (
    SELECT if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}') AS topic, kafka_partition, sequence
    FROM feedback.journal
    UNION ALL SELECT topic::String, kafka_partition, sequence FROM feedback.dead_letters
    UNION ALL SELECT topic::String, kafka_partition, sequence FROM feedback.erased_records
    UNION ALL SELECT topic::String, kafka_partition, sequence FROM feedback.expired_records
)
SELECT topic, kafka_partition, previous, sequence FROM (
    SELECT topic, kafka_partition, sequence, lagInFrame(toNullable(sequence), 1, NULL) OVER (
        PARTITION BY topic, kafka_partition ORDER BY sequence ROWS BETWEEN 1 PRECEDING AND CURRENT ROW
    ) AS previous
    FROM places
)
WHERE isNull(previous) OR sequence > previous + 1
LIMIT {_MOST_HOLES + 1}
UNION ALL
SELECT topic, kafka_partition, max(sequence), NULL FROM places GROUP BY topic, kafka_partition
"""
_BASE = "SELECT toUInt64OrZero(value) FROM feedback.settings FINAL WHERE name = 'offset_base'"


@dataclass
class JournalCoverage:
    """For each log: the last place with an entry, and the holes before it, sorted."""

    ends: dict[Place, int] = field(default_factory=dict)
    holes: dict[Place, list[SequenceRange]] = field(default_factory=dict)
    is_beyond_counting: bool = False

    def has_lost(self, log: Place, first: int, last: int) -> bool:
        """Whether a place from `first` to `last` is in a hole."""
        holes = self.holes.get(log, [])
        after = bisect_right(holes, last, key=lambda hole: hole.first)
        return self.is_beyond_counting or (after > 0 and holes[after - 1].end > first)

    def has_entry(self, log: Place, place: int) -> bool:
        """Whether the record at this place has an entry."""
        return place <= self.ends.get(log, -1) and not self.has_lost(log, place, place)


def read_coverage(client: Client) -> JournalCoverage:
    """Read the coverage of all logs in one pass. Raises what the client raises."""
    found: dict[Place, list[SequenceRange]] = defaultdict(list)
    ends: dict[Place, int] = {}
    rows = client.query(_HOLES, settings={"max_bytes_before_external_sort": _SORTED_ON_DISK_FROM}).result_rows
    for topic, partition, before, after in rows:
        if after is None:
            ends[topic, partition] = before
        else:
            found[topic, partition].append(SequenceRange(0 if before is None else before + 1, after))
    holes = without_bases(found, ends, {int(row[0]) for row in client.query(_BASE).result_rows})
    for log, losses in read_losses(client).items():
        # Records that are acknowledged as lost were never stored.
        holes[log] = subtract_ranges(holes.get(log, []), merge_ranges(losses.acknowledged))
    return JournalCoverage(ends, holes, is_beyond_counting=len(rows) > _MOST_HOLES)


def without_bases(
    holes: Mapping[Place, Sequence[SequenceRange]], ends: Mapping[Place, int], noted_bases: Collection[int]
) -> dict[Place, list[SequenceRange]]:
    """The holes, sorted, without those that end where a new log began.

    A new log began at each noted base, and at each place where all later logs begin: at the very start, or after a hole
    as wide as a new base leaves.
    """
    bases, widths = set(noted_bases), defaultdict(list)
    for each in chain.from_iterable(holes.values()):
        widths[each.end].append(each.end if each.first == 0 else each.end - each.first)
    for place in sorted((each for each in widths if min(widths[each]) >= min(GAP, each)), reverse=True):
        going_on = [
            log for log, end in ends.items() if end >= place and _end_around(holes.get(log, ()), place) not in bases
        ]
        if len(widths[place]) == len(going_on) > 1:
            bases.add(place)
    return {
        log: sorted(each for each in of_log if each.end > each.first and each.end not in bases)
        for log, of_log in holes.items()
    }


def _end_around(holes: Sequence[SequenceRange], place: int) -> int | None:
    """The end of the hole that contains a place, if there is one."""
    return next((each.end for each in holes if each.first <= place < each.end), None)

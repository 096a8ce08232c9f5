"""Which records the journal has lost: places in the log that nothing stored accounts for, though later ones are stored.

Every record that a worker took has its place in the journal, among the dead letters, or among what was erased. So a
place that is in none of them and lies before one that is, was lost, or never was: a log that begins at a new offset
base leaves a hole before it in all partitions alike.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from clickhouse_connect.driver.client import Client

from operations.broker_offsets import GAP
from operations.lost_records import Place, Range, merged, noted, without
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
class Books:
    """Of each log the last place that is accounted for, and the holes before it, in order."""

    ends: dict[Place, int] = field(default_factory=dict)
    holes: dict[Place, list[Range]] = field(default_factory=dict)
    is_beyond_counting: bool = False

    def has_lost(self, log: Place, first: int, last: int) -> bool:
        """Whether a place from `first` to `last` is in a hole."""
        holes = self.holes.get(log, [])
        after = bisect_right(holes, last, key=lambda hole: hole.first)
        return self.is_beyond_counting or (after > 0 and holes[after - 1].end > first)

    def accounts_for(self, log: Place, place: int) -> bool:
        """Whether something is stored of the record at this place."""
        return place <= self.ends.get(log, -1) and not self.has_lost(log, place, place)


def read_books(client: Client) -> Books:
    """Of the whole journal, in one pass. Raises what the client raises."""
    found: dict[Place, list[Range]] = defaultdict(list)
    ends: dict[Place, int] = {}
    rows = client.query(_HOLES, settings={"max_bytes_before_external_sort": _SORTED_ON_DISK_FROM}).result_rows
    for topic, partition, before, after in rows:
        if after is None:
            ends[topic, partition] = before
        else:
            found[topic, partition].append(Range(0 if before is None else before + 1, after))
    holes = without_bases(found, ends, {int(row[0]) for row in client.query(_BASE).result_rows})
    for log, losses in noted(client).items():
        # Of records that are acknowledged as lost nothing was ever stored.
        holes[log] = without(holes.get(log, []), merged(losses.acknowledged))
    return Books(ends, holes, is_beyond_counting=len(rows) > _MOST_HOLES)


def without_bases(
    holes: Mapping[Place, Sequence[Range]], ends: Mapping[Place, int], noted_bases: Collection[int]
) -> dict[Place, list[Range]]:
    """The holes, in order, but for those that end where a log began anew.

    It did at the bases that are noted, and where every log that goes on from there begins at the same place: after
    nothing, or after a hole as wide as a new base leaves.
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


def _end_around(holes: Sequence[Range], place: int) -> int | None:
    """The end of the hole that a place is in, if it is in one."""
    return next((each.end for each in holes if each.first <= place < each.end), None)

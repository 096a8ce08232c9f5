"""Where the records of the input topics are stored: each question is one statement about any number of partitions.

A statement costs more than what it reads of a small table, so none asks about one partition after the other.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from operations.lost_records import Place, SequenceRange
from schemas.topics import FEEDBACK_EVENTS, INPUTS, REQUEST_LOGS

LAST_SEQUENCE = 2**64 - 1

# Where a record may be, as bits, so that a record in two places is seen. An erased request stays in the journal without
# the person; another query finds whether the person is in it again.
_STORED, _DEAD, _ERASED = 1, 2, 4
# The number of a log: twice its partition, and 1 for requests.
_OF_TOPIC = f"2 * kafka_partition + (topic = '{REQUEST_LOGS}'), sequence"
_INPUTS = ", ".join(f"'{topic}'" for topic in INPUTS)
_PLACES = f"""
    SELECT 2 * kafka_partition + (kind = 'request') AS log, sequence, toUInt8({_STORED}) AS place FROM feedback.journal
    UNION ALL SELECT {_OF_TOPIC}, toUInt8({_STORED}) FROM feedback.expired_records WHERE topic IN ({_INPUTS})
    UNION ALL SELECT {_OF_TOPIC}, toUInt8({_DEAD}) FROM feedback.dead_letters WHERE topic IN ({_INPUTS})
    UNION ALL SELECT {_OF_TOPIC}, toUInt8({_ERASED}) FROM feedback.erased_records WHERE topic IN ({_INPUTS})
"""
_IN_SPANS = """
    {log} IN {{logs:Array(UInt32)}}
    AND sequence >= transform({log}, {{logs:Array(UInt32)}}, {{firsts:Array(UInt64)}}, toUInt64(0))
    AND sequence < transform({log}, {{logs:Array(UInt32)}}, {{ends:Array(UInt64)}}, toUInt64(0))
"""
_ROWS = f"({_PLACES}) WHERE {_IN_SPANS.format(log='log')}"
_COUNTS = f"""
WITH transform(log, {{logs:Array(UInt32)}}, {{commits:Array(UInt64)}}, toUInt64(0)) AS commit
SELECT
    log, countIf(place = {_STORED}), countIf(place = {_DEAD}), countIf(bitAnd(place, {_ERASED}) != 0),
    countIf(place = {_STORED | _DEAD}),
    countIf(place IN ({_ERASED | _DEAD}, {_ERASED | _DEAD | _STORED}) OR place = {_ERASED | _STORED} AND log % 2 = 0),
    countIf(sequence < commit), countIf(sequence >= commit)
FROM (SELECT log, sequence, groupBitOr(place) AS place FROM {_ROWS} GROUP BY log, sequence) GROUP BY log
"""
_RETURNED_REQUESTS = f"""
WITH erased AS (
    SELECT 2 * kafka_partition + 1 AS log, id, entry FROM feedback.journal
    WHERE kind = 'request' AND {_IN_SPANS.format(log="(2 * kafka_partition + 1)")} AND (kafka_partition, sequence) IN (
        SELECT kafka_partition, sequence FROM feedback.erased_records WHERE topic = '{REQUEST_LOGS}'
    )
)
SELECT log, uniqExactIf(id, JSONHas(entry, 'user') OR id IN (
    SELECT request_id FROM feedback.request_log_rows WHERE request_id IN (SELECT id FROM erased)
)) FROM erased GROUP BY log
"""
_DIFFERENT = f"SELECT log, uniqExact(sequence) FROM {_ROWS} GROUP BY log"
_HIGHEST = f"SELECT log, max(sequence) FROM {_ROWS} GROUP BY log"
_ABSENT = f"""
SELECT number FROM numbers({{firsts:Array(UInt64)}}[1], {{ends:Array(UInt64)}}[1] - {{firsts:Array(UInt64)}}[1])
WHERE number NOT IN (SELECT sequence FROM {_ROWS})
    AND NOT arrayExists((a, b) -> number >= a AND number < b, {{but:Array(UInt64)}}, {{but_ends:Array(UInt64)}})
LIMIT 5
"""
_WITHIN = f"""
SELECT log, uniqExact(sequence) FROM {_ROWS} AND arrayExists(
    (of_log, first, end) -> log = of_log AND sequence >= first AND sequence < end,
    {{range_logs:Array(UInt32)}}, {{range_firsts:Array(UInt64)}}, {{range_ends:Array(UInt64)}}
) GROUP BY log
"""
_SETTINGS = {"max_bytes_before_external_group_by": 512 << 20}

Spans = Mapping[Place, SequenceRange]
"""The sequences that are asked about, of each partition."""


class PlaceCounts(NamedTuple):
    """How many records of a partition are where. `doubled` are both stored and dead, and in neither of these counts;
    `returned` were erased and have a row again. Every record lies `below` the commit or `above` it."""

    stored: int = 0
    dead: int = 0
    erased: int = 0
    doubled: int = 0
    returned: int = 0
    below: int = 0
    above: int = 0


def count_places(client: Client, spans: Spans, commits: Mapping[Place, int]) -> dict[Place, PlaceCounts]:
    """The counts of each partition. An erased request that names its person again is returned too."""
    asked = _parameters(spans) | {"commits": [commits[place] for place in spans]}
    rows = client.query(_COUNTS, asked, settings=_SETTINGS).result_rows
    found = {_place(log): PlaceCounts(*map(int, counts)) for log, *counts in rows}
    if any(counts.erased for (topic, _), counts in found.items() if topic == REQUEST_LOGS):
        for place, returned in _by_place(client, _RETURNED_REQUESTS, spans).items():
            found[place] = found[place]._replace(returned=found[place].returned + returned)
    return {place: found.get(place, PlaceCounts()) for place in spans}


def count_different(client: Client, spans: Spans) -> dict[Place, int]:
    """How many of these sequences have a row, by partition; a partition without any is left out."""
    return _by_place(client, _DIFFERENT, spans)


def highest_stored(client: Client, spans: Spans) -> dict[Place, int]:
    """The highest of these sequences that has a row, by partition; a partition without any is left out."""
    return _by_place(client, _HIGHEST, spans)


def first_absent(client: Client, place: Place, span: SequenceRange, but: Sequence[SequenceRange]) -> list[int]:
    """The first of these sequences of one partition that have no row, leaving out those in `but`."""
    left_out = {"but": [each.first for each in but], "but_ends": [each.end for each in but]}
    return [int(row[0]) for row in client.query(_ABSENT, _parameters({place: span}) | left_out).result_rows]


def count_unstored(client: Client, ranges: Mapping[Place, Sequence[SequenceRange]]) -> dict[Place, int]:
    """How many sequences of the ranges of each partition, which must not meet, have no row anywhere."""
    listed = [(place, each) for place, of_place in ranges.items() for each in of_place]
    asked = {
        "range_logs": [_log(place) for place, _ in listed],
        "range_firsts": [each.first for _, each in listed],
        "range_ends": [each.end for _, each in listed],
    }
    spans = {
        place: SequenceRange(min(each.first for each in of_place), max(each.end for each in of_place))
        for place, of_place in ranges.items()
        if of_place
    }
    found = _by_place(client, _WITHIN, spans, asked)
    return {
        place: sum(each.end - each.first for each in of_place) - found.get(place, 0)
        for place, of_place in ranges.items()
    }


def _by_place(
    client: Client, query: str, spans: Spans, more: Mapping[str, Sequence[int]] = MappingProxyType({})
) -> dict[Place, int]:
    rows = client.query(query, {**_parameters(spans), **more}).result_rows if spans else []
    return {_place(log): int(number) for log, number in rows}


def _parameters(spans: Spans) -> dict[str, list[int]]:
    return {
        "logs": list(map(_log, spans)),
        "firsts": [span.first for span in spans.values()],
        "ends": [span.end for span in spans.values()],
    }


def _log(place: Place) -> int:
    topic, partition = place
    return 2 * partition + (topic == REQUEST_LOGS)


def _place(log: int) -> Place:
    return (REQUEST_LOGS if log % 2 else FEEDBACK_EVENTS), log // 2

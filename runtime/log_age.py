"""The check that Kafka's log is not older than what ClickHouse has stored of it.

Versions of rows are made from offsets. If Kafka was restored from an earlier backup than ClickHouse, or topics were
made anew without a new offset base, the next records get offsets that were given before. Their events would count as
older than the stored ones and change nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

HIGHEST_SEQUENCES = f"""
SELECT topic, kafka_partition, max(highest) FROM (
    SELECT if(kind = 'request', '{REQUEST_LOGS}', '{FEEDBACK_EVENTS}') AS topic, kafka_partition,
        max(sequence) AS highest FROM feedback.journal GROUP BY kind, kafka_partition
    UNION ALL SELECT toString(topic), kafka_partition, max(sequence)
        FROM feedback.dead_letters GROUP BY topic, kafka_partition
    UNION ALL SELECT toString(topic), kafka_partition, max(sequence)
        FROM feedback.erased_records GROUP BY topic, kafka_partition
    UNION ALL SELECT toString(topic), kafka_partition, max(sequence)
        FROM feedback.expired_records GROUP BY topic, kafka_partition
    UNION ALL SELECT toString(topic), kafka_partition, toUInt64(max(end_sequence) - 1)
        FROM feedback.lost_records GROUP BY topic, kafka_partition
) GROUP BY topic, kafka_partition ORDER BY topic, kafka_partition
"""
"""The highest sequence of each partition that a table knows. Ask for it before the ends of the logs, so that a record
that is stored meanwhile is not taken for a later one."""

HOW_TO_GO_ON = "Make the topics anew with a higher FEEDBACK_OFFSET_BASE: docs/runbook.md, 'Topics are made anew'."

Place = tuple[str, int]
"""A topic and a partition."""


class OlderLogError(RuntimeError):
    """Kafka's log ends before records that are stored. The message is for a person."""


def highest_of(rows: Iterable[Sequence[Any]]) -> dict[Place, int]:
    """The highest sequences by place, from the rows of HIGHEST_SEQUENCES."""
    return {(topic, int(partition)): int(highest) for topic, partition, highest in rows}


def within_the_log(highest: Mapping[Place, int], base: int) -> dict[Place, int]:
    """The highest sequences that are of a log with this offset base, or above it; the others are of earlier logs."""
    return {place: sequence for place, sequence in highest.items() if sequence >= base}


def require_later_end(highest: Mapping[Place, int], ends: Mapping[Place, int], base: int) -> None:
    """OlderLogError where a log ends before its highest stored sequence. A topic that does not exist ends at 0."""
    for (topic, partition), sequence in highest.items():
        end = ends.get((topic, partition), 0)
        if sequence >= base + end:
            raise OlderLogError(
                f"Kafka is older than ClickHouse: {topic}/{partition} ends at offset {end:,}, and ClickHouse has stored"
                f" its offset {sequence - base:,}. New events would be taken for old ones and change nothing."
            )

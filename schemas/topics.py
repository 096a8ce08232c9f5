"""The seven topics: their names, keys, and how long they keep records.

The version of a topic is part of its name: a change that existing readers cannot follow makes a new topic. All topics
have the same number of partitions, because the events, feedback and aggregate of a trace are in the partition with the
same number of each topic.
"""

from dataclasses import dataclass

FEEDBACK_EVENTS = "feedback.events.v1"
REQUEST_LOGS = "request.logs.v1"
ENRICHED = "feedback.enriched.v1"
AGGREGATES = "trace.aggregates.v1"
DEAD = "feedback.dead.v1"
ROLLUP_INVALIDATIONS = "rollup.touches.v1"
API_KEYS = "api.keys.v1"

_DAY_MS = 24 * 60 * 60 * 1000
_MAX_MESSAGE_BYTES = 8 * 1024 * 1024
SEGMENT_MS = _DAY_MS // 2
"""How long Kafka writes to one segment. It deletes whole segments, once the last record of each is old enough: with its
default of seven days, a record of a quiet topic stays for fourteen. It compacts no segment that it writes to."""


@dataclass(frozen=True)
class Topic:
    """One topic and its Kafka settings. All are explicit, so that no default of the broker matters."""

    name: str
    keyed_by: str
    about: str
    compacted: bool = False
    retention_ms: int | None = None

    def settings(self) -> dict[str, str]:
        """The settings in the form that Kafka takes."""
        common = {
            "max.message.bytes": str(_MAX_MESSAGE_BYTES),
            "message.timestamp.type": "CreateTime",
            "segment.ms": str(SEGMENT_MS),
        }
        if self.compacted:
            return common | {"cleanup.policy": "compact", "min.compaction.lag.ms": "0"}
        return common | {"cleanup.policy": "delete", "retention.ms": str(self.retention_ms)}


TOPICS = (
    Topic(
        FEEDBACK_EVENTS,
        "workspace/trace_id",
        "Feedback created, updated and deleted, as the edge accepted it.",
        retention_ms=7 * _DAY_MS,
    ),
    Topic(
        REQUEST_LOGS,
        "workspace/trace_id",
        "Requests that apps have served, as the edge accepted them.",
        retention_ms=7 * _DAY_MS,
    ),
    Topic(
        ENRICHED,
        "feedback_id",
        "Each feedback with what its trace's requests add, in its trace's partition.",
        compacted=True,
    ),
    Topic(AGGREGATES, "workspace/trace_id", "The numbers of each trace, absolute.", compacted=True),
    Topic(
        DEAD,
        "topic/partition/offset",
        "Records that could not become rows, with the reason and their bytes.",
        retention_ms=30 * _DAY_MS,
    ),
    Topic(
        ROLLUP_INVALIDATIONS,
        "workspace/hour",
        "Hours whose feedback has changed, for the rollups to be computed anew; internal.",
        retention_ms=7 * _DAY_MS,
    ),
    Topic(API_KEYS, "key_id", "API keys without their secrets, for every edge; internal.", compacted=True),
)
INPUTS = (FEEDBACK_EVENTS, REQUEST_LOGS)

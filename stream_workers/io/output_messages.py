"""Changes → the messages of the output topics.

Each message stands in the partition of its trace, under the key that compaction keeps: the feedback id, or the
trace key. A deleted feedback is a tombstone. The version is in the value, and in a header for tombstones' sake.
"""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

import msgspec
from msgspec import Raw, Struct, field

from schemas import ids, topics
from stream_workers.join.aggregate import BILLION
from stream_workers.join.decode import Fault
from stream_workers.join.snapshots import EXPIRED, FeedbackSnapshot, TraceSnapshot
from stream_workers.join.trace_join import Changes

_encode = msgspec.json.Encoder().encode
_HOUR_MS = 3_600_000

Hour = tuple[str, int]
"""A workspace and an hour, counted from 1970."""


class Message(Struct, gc=False):
    """One record to publish. Without a partition, its key decides; a version goes along as a header."""

    topic: str
    partition: int | None
    key: bytes
    value: bytes | None
    version: int | None = None


class _Enriched(Struct, gc=False):
    workspace: str
    feedback_id: str
    trace_id: str
    value: int
    weight: float
    join_state: str
    models: tuple[str, ...]
    providers: tuple[str, ...]
    user: str | None = field(name="_user")
    organisation: str | None = field(name="_organisation")
    prompt: str | None = field(name="_prompt")
    environment: str | None = field(name="_environment")
    metadata: Raw
    created_at: str
    updated_at: str
    version: int


class _Aggregate(Struct, gc=False):
    workspace: str
    trace_id: str
    feedback_count: int
    weight_sum: float
    value_weight_sum: float
    weight_value_squared_sum: float
    value_min: int | None
    value_max: int | None
    value_last: int | None
    mean_value_weight: float | None
    weighted_mean: float | None
    requests: int
    updated_at: str
    version: int


class _Touch(Struct, gc=False):
    workspace: str
    hour: int


def messages(changes: Changes) -> list[Message]:
    """What is to be said of each feedback and trace that changed, and of what could not be stored."""
    said = [_enriched(feedback) for feedback in changes.feedback]
    said += [_aggregate(trace) for trace in changes.traces]
    said += [_dead(fault) for fault in changes.dead]
    return said


def _enriched(feedback: FeedbackSnapshot) -> Message:
    key = feedback.feedback_id.encode()
    if feedback.deleted:
        return Message(topics.ENRICHED, feedback.partition, key, None, feedback.version)
    user, organisation, prompt, environment = feedback.specials
    created_at = rfc3339(feedback.created_at)
    value = _Enriched(
        feedback.workspace,
        feedback.feedback_id,
        feedback.trace_id,
        feedback.value,
        feedback.weight / BILLION,
        feedback.join_state,
        feedback.models,
        feedback.providers,
        user or None,
        organisation or None,
        prompt or None,
        environment or None,
        Raw(feedback.metadata),
        created_at,
        created_at if feedback.updated_at == feedback.created_at else rfc3339(feedback.updated_at),
        feedback.version,
    )
    return Message(topics.ENRICHED, feedback.partition, key, _encode(value), feedback.version)


def _aggregate(trace: TraceSnapshot) -> Message:
    key = ids.trace_key(trace.workspace, trace.trace_id)
    if trace.is_expired:
        return Message(topics.AGGREGATES, trace.partition, key, None, trace.version)
    count, weight, value_weight = trace.feedback_count, trace.weight_sum, trace.value_weight_sum
    value = _Aggregate(
        trace.workspace,
        trace.trace_id,
        count,
        weight / BILLION,
        value_weight / BILLION,
        trace.weight_value_squared_sum / BILLION,
        trace.value_min,
        trace.value_max,
        trace.value_last,
        value_weight / BILLION / count if count else None,
        value_weight / weight if weight else None,
        trace.requests,
        rfc3339(trace.updated_at),
        trace.version,
    )
    return Message(topics.AGGREGATES, trace.partition, key, _encode(value), trace.version)


def hours_of(changes: Changes) -> set[Hour]:
    """The hours whose rollups the changes touch. What was given stays given when its trace is removed."""
    return {(each.workspace, each.created_at // _HOUR_MS) for each in changes.feedback if each.join_state != EXPIRED}


def touches(hours: Iterable[Hour]) -> list[Message]:
    """Tells the program that computes rollups of these hours."""
    return [_touch(workspace, hour * 3600) for workspace, hour in hours]


def _touch(workspace: str, start: int) -> Message:
    key = f"{workspace}/{start}".encode()
    return Message(topics.ROLLUP_TOUCHES, None, key, _encode(_Touch(workspace, start)))


def _dead(fault: Fault) -> Message:
    record = fault.record
    value = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": fault.reason,
        "detail": fault.detail,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "timestamp": rfc3339(max(record.timestamp, 0)),
    }
    key = f"{record.topic}/{record.partition}/{record.offset}".encode()
    return Message(topics.DEAD, record.partition, key, _encode(value))


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


@lru_cache(maxsize=16_384)
def rfc3339(unix_ms: int) -> str:
    """Unix milliseconds as `2026-01-31T12:00:00.000Z`."""
    seconds, ms = divmod(unix_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03}Z"

"""Makes the messages of the output topics from changes.

Each message goes to the partition of its trace, and its key is the one that compaction keeps: the feedback id or the
trace key. A deleted feedback becomes a tombstone. The version is in the value, and also in a header, because a
tombstone has no value.
"""

import base64
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct, field

from runtime.times import rfc3339
from schemas import ids, topics
from stream_workers.join.aggregate import BILLION
from stream_workers.join.changes import Changes
from stream_workers.join.incoming_events import RejectedRecord
from stream_workers.join.snapshots import EXPIRED, FeedbackSnapshot, TraceSnapshot

_encode = msgspec.json.Encoder().encode
_HOUR_MS, _HOUR_S = 3_600_000, 3600

HourStart = tuple[str, int]
"""A workspace and the start of an hour in Unix seconds."""


class OutputMessage(Struct, gc=False):
    """One record to publish. Without a partition, the key determines it. The version becomes a header."""

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


def messages(changes: Changes) -> list[OutputMessage]:
    """The messages about each feedback and trace that has changed, and the dead letters."""
    made = [_enriched(feedback) for feedback in changes.feedback]
    made += [_aggregate(trace) for trace in changes.traces]
    made += [_dead_letter(rejected) for rejected in changes.rejected]
    return made


def _enriched(feedback: FeedbackSnapshot) -> OutputMessage:
    key = feedback.feedback_id.encode()
    if feedback.deleted:
        return OutputMessage(topics.ENRICHED, feedback.partition, key, None, feedback.version)
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
    return OutputMessage(topics.ENRICHED, feedback.partition, key, _encode(value), feedback.version)


def _aggregate(trace: TraceSnapshot) -> OutputMessage:
    key = ids.trace_key(trace.workspace, trace.trace_id)
    if trace.is_expired:
        return OutputMessage(topics.AGGREGATES, trace.partition, key, None, trace.version)
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
    return OutputMessage(topics.AGGREGATES, trace.partition, key, _encode(value), trace.version)


def changed_hours(changes: Changes) -> set[HourStart]:
    """The hours whose rollups must be computed again. Feedback of a removed trace still counts in its hour."""
    return {
        (each.workspace, each.created_at // _HOUR_MS * _HOUR_S)
        for each in changes.feedback
        if each.join_state != EXPIRED
    }


def rollup_invalidations(hours: Iterable[HourStart]) -> list[OutputMessage]:
    """Messages to the rollup program: it has to compute these hours again."""
    return [_rollup_invalidation(workspace, start) for workspace, start in hours]


def _rollup_invalidation(workspace: str, start: int) -> OutputMessage:
    key = f"{workspace}/{start}".encode()
    return OutputMessage(topics.ROLLUP_INVALIDATIONS, None, key, _encode({"workspace": workspace, "hour": start}))


def _dead_letter(rejected: RejectedRecord) -> OutputMessage:
    record = rejected.record
    value = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "key": _base64(record.key),
        "value": _base64(record.value),
        "timestamp": rfc3339(max(record.timestamp, 0)),
    }
    key = f"{record.topic}/{record.partition}/{record.offset}".encode()
    return OutputMessage(topics.DEAD, record.partition, key, _encode(value))


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()

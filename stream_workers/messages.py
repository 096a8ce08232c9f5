"""Changes → the messages of the output topics.

Each message stands in the partition of its trace, under the key that compaction keeps: the feedback id, or the
trace key. A deleted feedback is a tombstone. The version is in the value, and in a header for tombstones' sake.
"""

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from schemas import ids, topics
from stream_workers.aggregate import BILLION
from stream_workers.decode import Fault
from stream_workers.join import Changes, version_of
from stream_workers.rows import in_force, join_state
from stream_workers.state import Feedback, Trace

_encode = msgspec.json.Encoder().encode


class Message(NamedTuple):
    """One record to publish."""

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class _Enriched(Struct, kw_only=True):
    workspace: str
    feedback_id: str
    trace_id: str
    value: int
    weight: float
    join_state: str
    models: list[str]
    providers: list[str]
    user: str | None = field(name="_user")
    organisation: str | None = field(name="_organisation")
    prompt: str | None = field(name="_prompt")
    environment: str | None = field(name="_environment")
    metadata: Raw
    created_at: str
    updated_at: str
    version: int


def messages(changes: Changes, faults: Sequence[Fault]) -> Iterator[Message]:
    """Everything a poll has to say."""
    for held, feedback in changes.feedback.values():
        yield _enriched(held, feedback, changes.partitions[held.workspace, held.trace_id])
    for key, held in changes.traces.items():
        yield _aggregate(held, changes.partitions[key])
    for fault in (*faults, *changes.dead):
        yield _dead(fault)


def _enriched(held: Trace, feedback: Feedback, partition: int) -> Message:
    version = version_of(feedback.sequence, held)
    key, headers = feedback.feedback_id.encode(), (("version", str(version).encode()),)
    if feedback.deleted:
        return Message(topics.ENRICHED, partition, key, None, headers)
    user, organisation, prompt, environment = (value or None for value in in_force(held, feedback))
    value = _encode(
        _Enriched(
            workspace=held.workspace,
            feedback_id=feedback.feedback_id,
            trace_id=held.trace_id,
            value=feedback.value,
            weight=feedback.weight / BILLION,
            join_state=join_state(held),
            models=sorted(held.facts.models),
            providers=sorted(held.facts.providers),
            user=user,
            organisation=organisation,
            prompt=prompt,
            environment=environment,
            metadata=Raw(feedback.metadata),
            created_at=rfc3339(feedback.created_at),
            updated_at=rfc3339(feedback.updated_at),
            version=version,
        )
    )
    return Message(topics.ENRICHED, partition, key, value, headers)


def _aggregate(held: Trace, partition: int) -> Message:
    totals, version = held.totals, version_of(held.sequence, held)
    count, weight, value_weight = totals.count, totals.weight_sum, totals.value_weight_sum
    value: dict[str, Any] = {
        "workspace": held.workspace,
        "trace_id": held.trace_id,
        "feedback_count": count,
        "weight_sum": weight / BILLION,
        "value_weight_sum": value_weight / BILLION,
        "weight_value_squared_sum": totals.weight_value_squared_sum / BILLION,
        "value_min": totals.value_min,
        "value_max": totals.value_max,
        "value_last": held.last.value if held.last else None,
        "mean_value_weight": value_weight / BILLION / count if count else None,
        "weighted_mean": value_weight / weight if weight else None,
        "requests": held.facts.count,
        "version": version,
    }
    key = ids.trace_key(held.workspace, held.trace_id)
    return Message(topics.AGGREGATES, partition, key, _encode(value), (("version", str(version).encode()),))


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


def rfc3339(unix_ms: int) -> str:
    """Unix milliseconds as `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

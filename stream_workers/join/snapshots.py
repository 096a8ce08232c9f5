"""Snapshots of a feedback or a trace: absolute values with a version, from which rows and messages are made.

Higher versions are newer: first by the sequence of the latest event, then by the number of known requests. Both follow
from the events that were read and never from a clock, so every worker gives the same state the same version.
"""

from collections.abc import Iterable

from msgspec import Struct

from stream_workers.join.aggregate import Totals
from stream_workers.join.feedback import FeedbackState
from stream_workers.join.request_facts import NO_SPECIALS, Facts, Specials
from stream_workers.join.trace_state import TraceState

MOST_REQUESTS = 0xFFFF


EXPIRED = "expired"
"""The `join_state` of feedback whose trace was removed."""


class FeedbackSnapshot(Struct, gc=False):
    """The values of a feedback. Weight in billionths, times in Unix milliseconds; `specials` are those in force."""

    workspace: str
    feedback_id: str
    trace_id: str
    value: int
    weight: int
    join_state: str
    models: tuple[str, ...]
    providers: tuple[str, ...]
    specials: Specials
    metadata: bytes
    home: Specials
    created_at: int
    updated_at: int
    version: int
    deleted: bool
    partition: int


class TraceSnapshot(Struct, gc=False):
    """The totals of a trace; weights in billionths, `updated_at` in Unix milliseconds. The days of the first and last
    request are in days of Unix time, 0 where none is known."""

    workspace: str
    trace_id: str
    feedback_count: int
    weight_sum: int
    value_weight_sum: int
    weight_value_squared_sum: int
    value_min: int | None
    value_max: int | None
    value_last: int | None
    requests: int
    updated_at: int
    version: int
    partition: int
    is_expired: bool = False
    first_request_day: int = 0
    last_request_day: int = 0


def feedback_snapshots(changed: Iterable[tuple[TraceState, FeedbackState]]) -> list[FeedbackSnapshot]:
    """Snapshots of these feedbacks, each with its trace."""
    return [_feedback_snapshot(trace, feedback, trace.facts) for trace, feedback in changed]


def _feedback_snapshot(trace: TraceState, feedback: FeedbackState, facts: Facts) -> FeedbackSnapshot:
    return FeedbackSnapshot(
        trace.workspace,
        feedback.feedback_id,
        trace.trace_id,
        feedback.value,
        feedback.weight,
        "joined" if facts.requests else "pending",
        tuple(facts.models),
        tuple(facts.providers),
        effective_specials(feedback.specials, facts.specials),
        feedback.metadata,
        feedback.home,
        feedback.created_at,
        feedback.updated_at,
        _version(feedback.sequence, facts),
        feedback.deleted,
        trace.partition,
    )


def trace_snapshots(traces: Iterable[TraceState]) -> list[TraceSnapshot]:
    """Snapshots of these traces."""
    return [_trace_snapshot(trace, trace.totals, trace.last) for trace in traces]


def _trace_snapshot(trace: TraceState, totals: Totals, last: FeedbackState | None) -> TraceSnapshot:
    return TraceSnapshot(
        trace.workspace,
        trace.trace_id,
        totals.count,
        totals.weight_sum,
        totals.value_weight_sum,
        totals.weight_value_squared_sum,
        totals.value_min,
        totals.value_max,
        last.value if last else None,
        len(trace.facts.requests),
        trace.updated_at,
        _version(trace.sequence, trace.facts),
        trace.partition,
        first_request_day=trace.facts.first_day,
        last_request_day=trace.facts.last_day,
    )


def expired_snapshots(traces: Iterable[tuple[TraceState, int]]) -> tuple[list[FeedbackSnapshot], list[TraceSnapshot]]:
    """Snapshots of removed traces and their feedback, each trace with the sequence of the expiry that removed it.

    Their versions are above all earlier ones, and they hold nothing of what callers sent.
    """
    feedback, removed = [], []
    for trace, sequence in traces:
        version, partition = sequence << 16, trace.partition
        feedback += [
            FeedbackSnapshot(
                trace.workspace, each.feedback_id, trace.trace_id, 0, 0, EXPIRED, (), (), NO_SPECIALS, b"{}",
                each.home, each.created_at, each.created_at, version, True, partition,
            )
            for each in trace.feedback()
        ]  # fmt: skip
        if trace.feedback_count:
            removed.append(
                TraceSnapshot(
                    trace.workspace, trace.trace_id, 0, 0, 0, 0, None, None, None, 0, 0, version, partition, True
                )
            )
    return feedback, removed


def effective_specials(own: Specials, found: Specials) -> Specials:
    """The special fields in force: the feedback's own, and where it has none, those of its requests."""
    if found == NO_SPECIALS:
        return own
    return (own[0] or found[0], own[1] or found[1], own[2] or found[2], own[3] or found[3])


def _version(sequence: int, facts: Facts) -> int:
    requests = len(facts.requests)
    return sequence << 16 | (requests if requests < MOST_REQUESTS else MOST_REQUESTS)

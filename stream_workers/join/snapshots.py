"""What is written and said of a feedback or a trace: absolute values under a version, computed once for both.

Higher versions are newer: first by the latest event's sequence, then by how many requests were known. Both are
properties of the events that were read, never of a clock, so every worker gives the same state the same version.
"""

from collections.abc import Iterable

from msgspec import Struct

from stream_workers.join.aggregate import Totals
from stream_workers.join.feedback import Feedback
from stream_workers.join.request_facts import NO_SPECIALS, Facts, Specials
from stream_workers.join.trace_state import Trace

MOST_REQUESTS = 0xFFFF


EXPIRED = "expired"
"""The `join_state` of feedback whose trace was removed."""


class FeedbackSnapshot(Struct, gc=False):
    """A feedback as it stands. Weight in billionths, times in Unix milliseconds, special fields those in force."""

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
    """The numbers of a trace as they stand; weights in billionths, `updated_at` in Unix milliseconds."""

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


def of_feedback(touched: Iterable[tuple[Trace, Feedback]]) -> list[FeedbackSnapshot]:
    """Snapshots of these feedbacks, each with its trace."""
    return [_feedback_snapshot(trace, feedback, trace.facts) for trace, feedback in touched]


def _feedback_snapshot(trace: Trace, feedback: Feedback, facts: Facts) -> FeedbackSnapshot:
    return FeedbackSnapshot(
        trace.workspace,
        feedback.feedback_id,
        trace.trace_id,
        feedback.value,
        feedback.weight,
        "joined" if facts.requests else "pending",
        tuple(facts.models),
        tuple(facts.providers),
        in_force(feedback.specials, facts.specials),
        feedback.metadata,
        feedback.home,
        feedback.created_at,
        feedback.updated_at,
        _version(feedback.sequence, facts),
        feedback.deleted_by is not None,
        trace.partition,
    )


def of_traces(traces: Iterable[Trace]) -> list[TraceSnapshot]:
    """Snapshots of these traces."""
    return [_trace_snapshot(trace, trace.totals, trace.last) for trace in traces]


def _trace_snapshot(trace: Trace, totals: Totals, last: Feedback | None) -> TraceSnapshot:
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
    )


def of_expired(traces: Iterable[tuple[Trace, int]]) -> tuple[list[FeedbackSnapshot], list[TraceSnapshot]]:
    """What is left of removed traces and their feedback, each trace with the sequence of the notice that removed it:
    above all that was written of them before, and nothing of what they said."""
    feedback, told = [], []
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
            told.append(
                TraceSnapshot(
                    trace.workspace, trace.trace_id, 0, 0, 0, 0, None, None, None, 0, 0, version, partition, True
                )
            )
    return feedback, told


def in_force(own: Specials, found: Specials) -> Specials:
    """The special fields of a feedback: its own, and where it has none, those its requests say."""
    if found == NO_SPECIALS:
        return own
    return (own[0] or found[0], own[1] or found[1], own[2] or found[2], own[3] or found[3])


def _version(sequence: int, facts: Facts) -> int:
    requests = len(facts.requests)
    return sequence << 16 | (requests if requests < MOST_REQUESTS else MOST_REQUESTS)

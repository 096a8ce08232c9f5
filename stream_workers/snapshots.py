"""What is written and said of a feedback or a trace: absolute values under a version, computed once for both.

Higher versions are newer: first by the latest event's sequence, then by how many requests were known. Both are
properties of the events that were read, never of a clock, so every worker gives the same state the same version.
"""

from collections.abc import Iterable
from typing import NamedTuple

from stream_workers.facts import Specials
from stream_workers.state import Feedback, Trace

_MOST_REQUESTS = 0xFFFF


class FeedbackSnapshot(NamedTuple):
    """A feedback as it stands. Weight in billionths, times in Unix milliseconds, special fields those in force."""

    workspace: str
    feedback_id: str
    trace_id: str
    value: int
    weight: int
    join_state: str
    models: list[str]
    providers: list[str]
    specials: Specials
    metadata: bytes
    home: Specials
    created_at: int
    updated_at: int
    version: int
    deleted: bool
    partition: int


class TraceSnapshot(NamedTuple):
    """The numbers of a trace as they stand; weights in billionths."""

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
    version: int
    partition: int


def of_feedback(
    touched: Iterable[tuple[Trace, Feedback]], partitions: dict[tuple[str, str], int]
) -> list[FeedbackSnapshot]:
    """Snapshots of these feedbacks; `partitions` gives each trace's partition by workspace and trace id."""
    return [
        FeedbackSnapshot(
            trace.workspace,
            feedback.feedback_id,
            trace.trace_id,
            feedback.value,
            feedback.weight,
            "joined" if trace.facts.requests else "pending",
            trace.facts.models,
            trace.facts.providers,
            in_force(feedback.specials, trace.facts.specials),
            feedback.metadata,
            feedback.home,
            feedback.created_at,
            feedback.updated_at,
            _version(feedback.sequence, trace),
            feedback.deleted,
            partitions[trace.workspace, trace.trace_id],
        )
        for trace, feedback in touched
    ]


def of_traces(traces: Iterable[Trace], partitions: dict[tuple[str, str], int]) -> list[TraceSnapshot]:
    """Snapshots of these traces; `partitions` as above."""
    return [
        TraceSnapshot(
            trace.workspace,
            trace.trace_id,
            totals.count,
            totals.weight_sum,
            totals.value_weight_sum,
            totals.weight_value_squared_sum,
            totals.value_min,
            totals.value_max,
            trace.last.value if trace.last else None,
            trace.facts.count,
            _version(trace.sequence, trace),
            partitions[trace.workspace, trace.trace_id],
        )
        for trace in traces
        for totals in (trace.totals,)
    ]


def in_force(own: Specials, found: Specials) -> Specials:
    """The special fields of a feedback: its own, and where it has none, those its requests say."""
    return (own[0] or found[0], own[1] or found[1], own[2] or found[2], own[3] or found[3])


def _version(sequence: int, trace: Trace) -> int:
    requests = len(trace.facts.requests)
    return sequence << 16 | (requests if requests < _MOST_REQUESTS else _MOST_REQUESTS)

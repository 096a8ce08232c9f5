"""The join itself: (state, events) → what must be written and said.

A pure decision. `apply` takes the buckets of every trace hash that a poll touches, moves them forward through the
poll's events in order, and returns what changed, each feedback and trace once however many events touched it. It
reads no engine and no clock, so replaying the same events, in any grouping, ends in the same state and versions.
The caller stores what it returns, and forgets the buckets if that fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.ids import murmur2, trace_key
from stream_workers.decode import Arrival, Created, Fault, FeedbackEvent, Forgotten, Requested, milliseconds
from stream_workers.facts import RequestFact
from stream_workers.snapshots import FeedbackSnapshot, TraceSnapshot, of_feedback, of_traces
from stream_workers.state import Bucket, Conflict, Feedback, Trace


@dataclass
class Changes:
    """What a poll led to: events to record, snapshots to store and publish, and records that contradict the rest."""

    journal: list[tuple[Arrival, RequestFact | None]]
    requests: list[Arrival]
    feedback: list[FeedbackSnapshot]
    traces: list[TraceSnapshot]
    dead: list[Fault]


@dataclass
class _Touched:
    """What the events so far have touched; each feedback and trace once."""

    journal: list[tuple[Arrival, RequestFact | None]] = field(default_factory=list)
    requests: list[Arrival] = field(default_factory=list)
    feedback: dict[str, tuple[Trace, Feedback]] = field(default_factory=dict)
    traces: dict[tuple[str, str], Trace] = field(default_factory=dict)
    partitions: dict[tuple[str, str], int] = field(default_factory=dict)

    def touch(self, trace: Trace, arrival: Arrival) -> None:
        key = (trace.workspace, trace.trace_id)
        self.traces[key] = trace
        self.partitions[key] = arrival.record.partition


def apply(buckets: Mapping[int, Bucket], arrivals: Sequence[Arrival]) -> Changes:
    """Move `buckets` (by trace hash; one for every arrival) through `arrivals` and say what changed."""
    touched, dead = _Touched(), []
    for arrival in arrivals:
        bucket = buckets[arrival.trace_hash]
        try:
            if isinstance(arrival.event, Requested):
                _take_request(bucket, arrival, arrival.event, touched)
            elif isinstance(arrival.event, Forgotten):
                touched.journal.append((arrival, None))
            else:
                _take_feedback(bucket, arrival, arrival.event, touched)
        except Conflict as conflict:
            dead.append(Fault(conflict.reason, str(conflict), arrival.sequence, arrival.record))
    return Changes(
        touched.journal,
        touched.requests,
        of_feedback(touched.feedback.values(), touched.partitions),
        of_traces(touched.traces.values(), touched.partitions),
        dead,
    )


def _take_feedback(bucket: Bucket, arrival: Arrival, event: FeedbackEvent, touched: _Touched) -> None:
    trace = bucket.holder_of(event.feedback_id, event.workspace)
    if trace is None:
        if not isinstance(event, Created):
            raise Conflict("unknown_feedback", f"No feedback {event.feedback_id} has been created.")
        trace = _home(bucket, arrival, event)
    feedback = trace.take(event, arrival.sequence)
    touched.journal.append((arrival, None))
    touched.feedback[feedback.feedback_id] = (trace, feedback)
    touched.touch(trace, arrival)


def _take_request(bucket: Bucket, arrival: Arrival, event: Requested, touched: _Touched) -> None:
    trace = _home(bucket, arrival, event)
    fact = RequestFact(
        workspace=event.workspace,
        trace_id=event.trace_id,
        started_at=milliseconds(event.started_at),
        provider=event.provider,
        model=event.model,
        user=event.user,
        organisation=event.organisation,
        prompt=event.prompt,
        environment=event.environment,
    )
    touched.journal.append((arrival, fact))
    first_sequence = trace.facts.requests.get(event.request_id)
    if first_sequence is None:
        rewrite = trace.facts.add(event.request_id, fact, arrival.sequence)
    elif first_sequence == arrival.sequence:
        rewrite = True  # a replay: what followed from this request may never have been stored
    else:
        return
    touched.requests.append(arrival)
    if trace.feedback:
        touched.touch(trace, arrival)
        if rewrite:
            touched.feedback |= {each.feedback_id: (trace, each) for each in trace.feedback.values()}


def _home(bucket: Bucket, arrival: Arrival, event: Created | Requested) -> Trace:
    """The event's trace. An id whose hash is not its trace's would join nothing for ever: Conflict."""
    trace = bucket.traces.get((event.workspace, event.trace_id))
    if trace is None:
        if murmur2(trace_key(event.workspace, event.trace_id)) != arrival.trace_hash:
            name = "request_id" if isinstance(event, Requested) else "feedback_id"
            raise Conflict("foreign_id", f"`{name}` does not carry the murmur2 of its trace key.")
        trace = bucket.add(event.workspace, event.trace_id)
    return trace

"""The join itself: (state, events) → what must be written and said.

A pure decision. `apply` takes the buckets of every trace hash that a poll touches, moves them forward through the
poll's events in order, and returns what changed, each feedback and trace once however many events touched it. It
reads no engine and no clock, so replaying the same events, in any grouping, ends in the same state and versions.
The caller stores what it returns, and forgets the buckets if that fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.ids import trace_key
from schemas.murmur2 import murmur2
from stream_workers.decode import Arrival, Created, Fault, FeedbackEvent, Forgotten, Requested, milliseconds
from stream_workers.facts import RequestFact
from stream_workers.feedback import Conflict, Feedback
from stream_workers.snapshots import FeedbackSnapshot, TraceSnapshot, of_feedback, of_traces
from stream_workers.state import Bucket, Trace

Claim = tuple[str, str]
"""Workspace and idempotency key."""

Keyed = Created | Requested
"""An event that may have come with an idempotency key."""

# A tuple, because isinstance is several times as slow with a union.
_KEYED = (Created, Requested)


@dataclass
class Changes:
    """What events led to: those to record, snapshots to store and publish, and records that contradict the rest."""

    journal: list[tuple[Arrival, RequestFact | None]] = field(default_factory=list)
    requests: list[Arrival] = field(default_factory=list)
    feedback: list[FeedbackSnapshot] = field(default_factory=list)
    traces: list[TraceSnapshot] = field(default_factory=list)
    dead: list[Fault] = field(default_factory=list)

    def add(self, later: "Changes") -> None:
        """Take in what later events on other traces led to."""
        self.journal += later.journal
        self.requests += later.requests
        self.feedback += later.feedback
        self.traces += later.traces
        self.dead += later.dead


def apply(buckets: Mapping[int, Bucket], arrivals: Sequence[Arrival], claimed: Mapping[Claim, str]) -> Changes:
    """Move `buckets` (by trace hash; one for every arrival) through `arrivals` and say what changed.

    `claimed` has the digest of the call to which each idempotency key among the arrivals belongs.
    """
    return _Join(buckets, claimed).through(arrivals)


def first_of_each_key(arrivals: Sequence[Arrival]) -> dict[Claim, Keyed]:
    """The idempotency keys among the arrivals, each with the first event that came with it."""
    first: dict[Claim, Keyed] = {}
    for arrival in arrivals:
        event = arrival.event
        if isinstance(event, _KEYED) and event.idempotency_key is not None:
            first.setdefault((event.workspace, event.idempotency_key), event)
    return first


def digest_of(event: Keyed) -> str:
    """The digest of the call that the event came by; empty where it names none."""
    return event.idempotency_digest or ""


class _Join:
    """One pass over a poll, and what its events have touched so far: each feedback and trace once."""

    def __init__(self, buckets: Mapping[int, Bucket], claimed: Mapping[Claim, str]) -> None:
        self._buckets = buckets
        self._claimed = claimed
        self._journal: list[tuple[Arrival, RequestFact | None]] = []
        self._requests: list[Arrival] = []
        self._feedback: dict[str, tuple[Trace, Feedback]] = {}
        self._traces: dict[int, Trace] = {}
        self._rewritten: dict[int, Trace] = {}

    def through(self, arrivals: Sequence[Arrival]) -> Changes:
        dead = []
        for arrival in arrivals:
            event = arrival.event
            try:
                if isinstance(event, Requested):
                    self._take_request(arrival, event)
                elif isinstance(event, Forgotten):
                    self._take_notice(arrival)
                else:
                    self._take_feedback(arrival, event)
            except Conflict as conflict:
                dead.append(Fault(conflict.reason, str(conflict), arrival.sequence, arrival.record))
        for trace in self._rewritten.values():
            self._feedback |= {each.feedback_id: (trace, each) for each in trace.feedback()}
        return Changes(
            self._journal,
            self._requests,
            of_feedback(self._feedback.values()),
            of_traces(self._traces.values()),
            dead,
        )

    def _take_feedback(self, arrival: Arrival, event: FeedbackEvent) -> None:
        bucket, feedback_id = self._buckets[arrival.trace_hash], arrival.identity
        found = bucket.find(feedback_id, event.workspace)
        if isinstance(event, Created) and event.idempotency_key is not None:
            self._require_key(event, is_known=found is not None and found[1].is_of_call(event))
        if found:
            trace, feedback = found
            trace.take(feedback, event, arrival.sequence)
        elif isinstance(event, Created):
            trace = self._trace(bucket, arrival, event)
            feedback = trace.create(event, arrival.sequence)
        else:
            raise Conflict("unknown_feedback", f"No feedback {feedback_id} has been created.")
        self._journal.append((arrival, None))
        self._feedback[feedback_id] = (trace, feedback)
        self._touch(trace, arrival)

    def _require_key(self, event: Keyed, *, is_known: bool) -> None:
        """The key is the event's call's, or Conflict: it is another call's. What was once let pass stays so."""
        owner = self._claimed[event.workspace, event.idempotency_key or ""]
        if owner != digest_of(event) and not is_known:
            raise Conflict(
                "idempotency_key_reused", "The Idempotency-Key was used before, for a call with another body."
            )

    def _take_request(self, arrival: Arrival, event: Requested) -> None:
        bucket = self._buckets[arrival.trace_hash]
        if event.idempotency_key is not None:
            known = bucket.trace(event.workspace, event.trace_id)
            self._require_key(
                event, is_known=known is not None and known.facts.requests.get(event.request_id) == arrival.sequence
            )
        trace = self._trace(bucket, arrival, event)
        fact = RequestFact(
            event.workspace,
            event.trace_id,
            milliseconds(event.started_at),
            event.provider,
            event.model,
            event.user,
            event.organisation,
            event.prompt,
            event.environment,
        )
        self._journal.append((arrival, fact))
        first_sequence = trace.facts.requests.get(event.request_id)
        if first_sequence is None:
            rewrite = trace.facts.add(event.request_id, fact, arrival.sequence)
        elif first_sequence == arrival.sequence:
            rewrite = True  # a replay: what followed from this request may never have been stored
        else:
            return
        self._requests.append(arrival)
        if trace.feedback_count:
            self._touch(trace, arrival)
            if rewrite:
                self._rewritten[id(trace)] = trace

    def _take_notice(self, arrival: Arrival) -> None:
        """Say the numbers of these traces anew: what they rest on was changed from outside."""
        self._journal.append((arrival, None))
        for trace in self._buckets[arrival.trace_hash].traces:
            trace.notice(arrival.sequence)
            if trace.feedback_count:
                self._touch(trace, arrival)

    def _trace(self, bucket: Bucket, arrival: Arrival, event: Keyed) -> Trace:
        """The event's trace. An id whose hash is not its trace's would join nothing for ever: Conflict."""
        trace = bucket.trace(event.workspace, event.trace_id)
        if trace is None:
            if murmur2(trace_key(event.workspace, event.trace_id)) != arrival.trace_hash:
                name = "request_id" if isinstance(event, Requested) else "feedback_id"
                raise Conflict("foreign_id", f"`{name}` does not carry the murmur2 of its trace key.")
            trace = bucket.add(event.workspace, event.trace_id)
        return trace

    def _touch(self, trace: Trace, arrival: Arrival) -> None:
        trace.partition = arrival.record.partition
        self._traces[id(trace)] = trace

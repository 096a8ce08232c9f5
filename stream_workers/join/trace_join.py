"""The join itself: (state, events) → what must be written and said.

A pure decision. `apply` takes the buckets of every trace hash that a poll touches, moves them forward through the
poll's events in order, and returns what changed, each feedback and trace once however many events touched it. It
reads no engine and no clock, so replaying the same events, in any grouping, ends in the same state and versions.
The caller stores what it returns, and forgets the buckets if that fails.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from schemas.ids import trace_key
from schemas.murmur2 import murmur2
from stream_workers.join.decode import (
    Arrival,
    Created,
    Expired,
    Fault,
    FeedbackEvent,
    Forgotten,
    Requested,
    milliseconds,
)
from stream_workers.join.feedback import Conflict, Feedback
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.snapshots import FeedbackSnapshot, TraceSnapshot, of_expired, of_feedback, of_traces
from stream_workers.join.trace_state import Bucket, Entry, Trace, fold, latest_expiry

Claim = tuple[str, str]
"""Workspace and idempotency key."""

Keyed = Created | Requested
"""An event that may have come with an idempotency key."""

_UNKNOWN = (
    "No feedback {} is known: it was never created, or its trace was removed after FEEDBACK_KEEP_TRACES_DAYS without an"
    " event."
)

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


def apply(
    buckets: MutableMapping[int, Bucket],
    arrivals: Sequence[Arrival],
    claimed: Mapping[Claim, str],
    entries: Mapping[int, Sequence[Entry]] = MappingProxyType({}),
) -> Changes:
    """Move `buckets` (by trace hash; one for every arrival) through `arrivals` and say what changed.

    `claimed` has the digest of the call to which each idempotency key among the arrivals belongs, `entries` what the
    journal holds of each trace hash that is to be removed.
    """
    return _Join(buckets, claimed, entries).through(arrivals)


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

    def __init__(
        self,
        buckets: MutableMapping[int, Bucket],
        claimed: Mapping[Claim, str],
        entries: Mapping[int, Sequence[Entry]],
    ) -> None:
        self._buckets = buckets
        self._claimed = claimed
        self._entries = entries
        self._gone: list[tuple[Trace, int]] = []
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
                elif isinstance(event, Expired):
                    self._remove(arrival)
                else:
                    self._take_feedback(arrival, event)
            except Conflict as conflict:
                dead.append(Fault(conflict.reason, str(conflict), arrival.sequence, arrival.record))
        for trace in self._rewritten.values():
            self._feedback |= {each.feedback_id: (trace, each) for each in trace.feedback()}
        changes = Changes(
            self._journal,
            self._requests,
            of_feedback(self._feedback.values()),
            of_traces(self._traces.values()),
            dead,
        )
        if self._gone:
            gone_feedback, gone_traces = of_expired(self._gone)
            changes.feedback[:0], changes.traces[:0] = gone_feedback, gone_traces
        return changes

    def _take_feedback(self, arrival: Arrival, event: FeedbackEvent) -> None:
        bucket, feedback_id = self._buckets[arrival.trace_hash], arrival.identity
        if (expiry := bucket.expiry) and arrival.sequence < expiry.sequence:
            if arrival.sequence < expiry.feedback_before:
                return  # it is read again, and went with its trace
            raise Conflict("unknown_feedback", _UNKNOWN.format(feedback_id))
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
            raise Conflict("unknown_feedback", _UNKNOWN.format(feedback_id))
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
        if bucket.expiry and arrival.sequence < bucket.expiry.requests_before:
            return  # as above
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

    def _remove(self, arrival: Arrival) -> None:
        """Remove the traces of this hash, unless they have come alive again: what is left is what the journal and this
        poll amount to. What was removed is told again where the notice is read again."""
        self._journal.append((arrival, None))
        trace_hash, sequence = arrival.trace_hash, arrival.sequence
        of_poll: list[Any] = [
            (fact or each.event, each.identity, each.sequence)
            for each, fact in self._journal
            if each.trace_hash == trace_hash
        ]
        known: list[Entry] = [*self._entries[trace_hash], *of_poll]
        until_here = [each for each in known if isinstance(each[0], RequestFact) or each[2] <= sequence]
        expiry = latest_expiry(until_here)
        if expiry is None or expiry.sequence < sequence:
            return
        for trace in self._buckets[trace_hash].traces:
            self._traces.pop(id(trace), None)
            self._rewritten.pop(id(trace), None)
            self._feedback = {each: held for each, held in self._feedback.items() if held[0] is not trace}
        before = [each for each in until_here if not isinstance(each[0], RequestFact) and each[2] < sequence]
        for trace in fold(before).traces:
            trace.partition = arrival.record.partition
            self._gone.append((trace, sequence))
        self._buckets[trace_hash] = fold(known)

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

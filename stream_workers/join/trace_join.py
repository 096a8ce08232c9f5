"""The join: from states and events to the rows and messages that follow. Pure.

`apply` takes the buckets of every trace hash among its events, applies the events to them in order, and returns what
changed: each feedback and trace once, however many events changed it. It uses no engine and no clock, so a replay of
the same events, in any grouping, ends in the same states and versions. The caller stores what it returns; if that
fails, the buckets must not be used again.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from types import MappingProxyType
from typing import Any

from schemas.ids import trace_key
from schemas.murmur2 import murmur2
from stream_workers.join.changes import Changes
from stream_workers.join.claims import Claim, Keyed, digest_of
from stream_workers.join.feedback import Conflict, FeedbackState
from stream_workers.join.incoming_events import (
    Created,
    Expired,
    FeedbackEvent,
    IncomingEvent,
    RejectedRecord,
    Requested,
    StateInvalidated,
    milliseconds,
)
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.snapshots import expired_snapshots, feedback_snapshots, trace_snapshots
from stream_workers.join.trace_state import Entry, HashBucket, TraceState, fold, latest_expiry

_UNKNOWN = (
    "No feedback {} is known: it was never created, or its trace was removed after FEEDBACK_KEEP_TRACES_DAYS without an"
    " event."
)


def apply(
    buckets: MutableMapping[int, HashBucket],
    events: Sequence[IncomingEvent],
    claimed: Mapping[Claim, str],
    entries: Mapping[int, Sequence[Entry]] = MappingProxyType({}),
) -> Changes:
    """Apply events to `buckets`, which holds the bucket of each trace hash among them, and return what changed.

    `claimed` has the digest of the call to which each idempotency key of the events belongs, `entries` the journal's
    entries of each trace hash that is invalidated or to be removed.
    """
    return _Join(buckets, claimed, entries).apply_all(events)


class _Join:
    """One pass over events, and what they have changed so far: each feedback and trace once."""

    def __init__(
        self,
        buckets: MutableMapping[int, HashBucket],
        claimed: Mapping[Claim, str],
        entries: Mapping[int, Sequence[Entry]],
    ) -> None:
        self._buckets = buckets
        self._claimed = claimed
        self._entries = entries
        self._removed: list[tuple[TraceState, int]] = []
        self._journal: list[tuple[IncomingEvent, RequestFact | None]] = []
        self._requests: list[IncomingEvent] = []
        self._feedback: dict[str, tuple[TraceState, FeedbackState]] = {}
        self._traces: dict[int, TraceState] = {}
        self._rewritten: dict[int, TraceState] = {}

    def apply_all(self, events: Sequence[IncomingEvent]) -> Changes:
        rejected = []
        for incoming in events:
            event = incoming.event
            try:
                if isinstance(event, Requested):
                    self._apply_request(incoming, event)
                elif isinstance(event, StateInvalidated):
                    self._apply_invalidation(incoming)
                elif isinstance(event, Expired):
                    self._apply_expiry(incoming)
                else:
                    self._apply_feedback(incoming, event)
            except Conflict as conflict:
                rejected.append(RejectedRecord(conflict.reason, str(conflict), incoming.sequence, incoming.record))
        for trace in self._rewritten.values():
            self._feedback |= {each.feedback_id: (trace, each) for each in trace.feedback()}
        changes = Changes(
            self._journal,
            self._requests,
            feedback_snapshots(self._feedback.values()),
            trace_snapshots(self._traces.values()),
            rejected,
        )
        if self._removed:
            changes.feedback[:0], changes.traces[:0] = expired_snapshots(self._removed)
        return changes

    def _apply_feedback(self, incoming: IncomingEvent, event: FeedbackEvent) -> None:
        bucket, feedback_id = self._buckets[incoming.trace_hash], incoming.identity
        if (expiry := bucket.expiry) and incoming.sequence < expiry.sequence:
            if incoming.sequence < expiry.feedback_before:
                return  # its record is read again; it was removed with its trace
            raise Conflict("unknown_feedback", _UNKNOWN.format(feedback_id))
        found = bucket.find(feedback_id, event.workspace)
        if isinstance(event, Created) and event.idempotency_key is not None:
            self._require_key(event, is_known=found is not None and found[1].is_of_call(event))
        if found:
            trace, feedback = found
            trace.apply(feedback, event, incoming.sequence)
        elif isinstance(event, Created):
            trace = self._trace(bucket, incoming, event)
            feedback = trace.create(event, incoming.sequence)
        else:
            raise Conflict("unknown_feedback", _UNKNOWN.format(feedback_id))
        self._journal.append((incoming, None))
        self._feedback[feedback_id] = (trace, feedback)
        self._mark_changed(trace, incoming)

    def _require_key(self, event: Keyed, *, is_known: bool) -> None:
        """Raise Conflict if the key belongs to another call, unless this event was accepted before (`is_known`)."""
        owner = self._claimed[event.workspace, event.idempotency_key or ""]
        if owner != digest_of(event) and not is_known:
            raise Conflict(
                "idempotency_key_reused", "The Idempotency-Key was used before, for a call with another body."
            )

    def _apply_request(self, incoming: IncomingEvent, event: Requested) -> None:
        bucket = self._buckets[incoming.trace_hash]
        if bucket.expiry and incoming.sequence < bucket.expiry.requests_before:
            return  # as above
        if event.idempotency_key is not None:
            known = bucket.trace(event.workspace, event.trace_id)
            self._require_key(
                event, is_known=known is not None and known.facts.requests.get(event.request_id) == incoming.sequence
            )
        trace = self._trace(bucket, incoming, event)
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
        self._journal.append((incoming, fact))
        first_sequence = trace.facts.requests.get(event.request_id)
        if first_sequence is None:
            rewrite = trace.facts.add(event.request_id, fact, incoming.sequence)
        elif first_sequence == incoming.sequence:
            rewrite = True  # a replay: the feedback that this request changed may never have been stored
        else:
            return
        self._requests.append(incoming)
        if trace.feedback_count:
            self._mark_changed(trace, incoming)
            if rewrite:
                self._rewritten[id(trace)] = trace

    def _apply_invalidation(self, incoming: IncomingEvent) -> None:
        """Write and publish everything of these traces again, also the last snapshots of removed ones: what is stored
        was changed from outside, or a worker was killed before it had stored all."""
        self._journal.append((incoming, None))
        bucket = self._buckets[incoming.trace_hash]
        for trace in bucket.traces:
            trace.advance_sequence(incoming.sequence)
            if trace.feedback_count:
                self._mark_changed(trace, incoming)
                self._rewritten[id(trace)] = trace
        if bucket.expiry:
            self._add_removed(self._entries[incoming.trace_hash], bucket.expiry.sequence, incoming)

    def _apply_expiry(self, incoming: IncomingEvent) -> None:
        """Remove the traces of this hash, unless they were used again.

        What remains is folded from the journal and the events so far. When the expiry is read again, the snapshots of
        the removed traces are written again.
        """
        self._journal.append((incoming, None))
        trace_hash, sequence = incoming.trace_hash, incoming.sequence
        so_far: list[Any] = [
            (fact or each.event, each.identity, each.sequence)
            for each, fact in self._journal
            if each.trace_hash == trace_hash
        ]
        known: list[Entry] = [*self._entries[trace_hash], *so_far]
        until_here = [each for each in known if isinstance(each[0], RequestFact) or each[2] <= sequence]
        expiry = latest_expiry(until_here)
        if expiry is None or expiry.sequence < sequence:
            return
        for trace in self._buckets[trace_hash].traces:
            self._traces.pop(id(trace), None)
            self._rewritten.pop(id(trace), None)
            self._feedback = {each: held for each, held in self._feedback.items() if held[0] is not trace}
        self._add_removed(until_here, sequence, incoming)
        self._buckets[trace_hash] = fold(known)

    def _add_removed(self, entries: Sequence[Entry], expired_by: int, incoming: IncomingEvent) -> None:
        """Write the last snapshots of the traces that the expiry with this sequence has removed."""
        before = [each for each in entries if not isinstance(each[0], RequestFact) and each[2] < expired_by]
        for trace in fold(before).traces:
            trace.partition = incoming.record.partition
            self._removed.append((trace, expired_by))

    def _trace(self, bucket: HashBucket, incoming: IncomingEvent, event: Keyed) -> TraceState:
        """The trace of the event. Raises Conflict for an id with the hash of another trace: it can never be joined."""
        trace = bucket.trace(event.workspace, event.trace_id)
        if trace is None:
            if murmur2(trace_key(event.workspace, event.trace_id)) != incoming.trace_hash:
                name = "request_id" if isinstance(event, Requested) else "feedback_id"
                raise Conflict("foreign_id", f"`{name}` does not carry the murmur2 of its trace key.")
            trace = bucket.add(event.workspace, event.trace_id)
        return trace

    def _mark_changed(self, trace: TraceState, incoming: IncomingEvent) -> None:
        trace.partition = incoming.record.partition
        self._traces[id(trace)] = trace

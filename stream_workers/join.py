"""The join itself: (state, events) → what must be written and said.

A pure decision. `apply` takes the buckets of every trace hash that a poll touches, moves them forward through the
poll's events in order, and returns what changed, each feedback and trace once however many events touched it. It
reads no engine and no clock, so replaying the same events, in any grouping, ends in the same state and versions.
The caller stores what it returns, and forgets the buckets if that fails.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stream_workers.decode import Arrival, Created, Fault, Requested, home_hash
from stream_workers.facts import RequestFact
from stream_workers.state import Bucket, Conflict, Feedback, Trace, milliseconds

_MOST_REQUESTS = 0xFFFF


@dataclass
class Changes:
    """What a poll led to. `journal` and `requests` hold arrivals; `feedback` and `traces` hold state to write out.

    `partition_of` gives each touched trace the partition its outputs belong to.
    """

    journal: list[tuple[Arrival, RequestFact | None]] = field(default_factory=list)
    requests: list[Arrival] = field(default_factory=list)
    feedback: dict[str, tuple[Trace, Feedback]] = field(default_factory=dict)
    traces: dict[tuple[str, str], Trace] = field(default_factory=dict)
    partitions: dict[tuple[str, str], int] = field(default_factory=dict)
    dead: list[Fault] = field(default_factory=list)


def apply(buckets: Mapping[int, Bucket], arrivals: Sequence[Arrival]) -> Changes:
    """Move `buckets` (by trace hash; one for every arrival) through `arrivals` and say what changed."""
    changes = Changes()
    for arrival in arrivals:
        bucket = buckets[arrival.trace_hash]
        try:
            if isinstance(arrival.event, Requested):
                _take_request(bucket, arrival, arrival.event, changes)
            else:
                _take_feedback(bucket, arrival, changes)
        except Conflict as conflict:
            changes.dead.append(Fault(conflict.reason, str(conflict), arrival.sequence, arrival.record))
    return changes


def _take_feedback(bucket: Bucket, arrival: Arrival, changes: Changes) -> None:
    event = arrival.event
    assert not isinstance(event, Requested)
    held = bucket.holder_of(event.feedback_id, event.workspace)
    if isinstance(event, Created):
        if held is None:
            _check_home(bucket, arrival, event)
            held = bucket.trace(event.workspace, event.trace_id)
    elif held is None:
        raise Conflict("unknown_feedback", f"No feedback {event.feedback_id} has been created.")
    feedback = held.take(event, arrival.sequence)
    changes.journal.append((arrival, None))
    changes.feedback[feedback.feedback_id] = (held, feedback)
    _touch(held, arrival, changes)


def _take_request(bucket: Bucket, arrival: Arrival, event: Requested, changes: Changes) -> None:
    _check_home(bucket, arrival, event)
    held = bucket.trace(event.workspace, event.trace_id)
    fact = RequestFact(
        workspace=event.workspace,
        trace_id=event.trace_id,
        started_at=milliseconds(event.started_at.timestamp()),
        provider=event.provider,
        model=event.model,
        user=event.user,
        organisation=event.organisation,
        prompt=event.prompt,
        environment=event.environment,
    )
    changes.journal.append((arrival, fact))
    first_sequence = held.facts.requests.get(event.request_id)
    if first_sequence is None:
        rewrite = held.facts.add(event.request_id, fact, arrival.sequence)
    elif first_sequence == arrival.sequence:
        rewrite = True  # a replay: what followed from this request may never have been stored
    else:
        return
    changes.requests.append(arrival)
    if held.feedback:
        _touch(held, arrival, changes)
        if rewrite:
            changes.feedback |= {each.feedback_id: (held, each) for each in held.feedback.values()}


def _touch(held: Trace, arrival: Arrival, changes: Changes) -> None:
    key = (held.workspace, held.trace_id)
    changes.traces[key] = held
    changes.partitions[key] = arrival.record.partition


def _check_home(bucket: Bucket, arrival: Arrival, event: Created | Requested) -> None:
    """An id whose hash is not its trace's would join nothing for ever; known traces need no second sum."""
    if (event.workspace, event.trace_id) not in bucket.traces and home_hash(event) != arrival.trace_hash:
        name = "request_id" if isinstance(event, Requested) else "feedback_id"
        raise Conflict("foreign_id", f"`{name}` does not carry the murmur2 of its trace key.")


def version_of(sequence: int, held: Trace) -> int:
    """Higher is newer: first by the latest event, then by how many requests were known."""
    return sequence << 16 | min(held.facts.count, _MOST_REQUESTS)

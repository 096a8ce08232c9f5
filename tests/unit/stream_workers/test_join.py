"""An event that one worker accepted under an Idempotency-Key stays accepted, although another call owns the key."""

import json
from typing import Any

from aiokafka.structs import ConsumerRecord

from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from stream_workers.join.decode import decode
from stream_workers.join.incoming_events import IncomingEvent
from stream_workers.join.trace_join import apply
from stream_workers.join.trace_state import HashBucket

AT = "2026-11-22T21:43:29.406Z"
HASH = murmur2(b"w/t")
KEYED = {"workspace": "w", "trace_id": "t", "metadata": {}, "idempotency_key": "k", "idempotency_digest": "a" * 32}
EVENTS: dict[str, dict[str, Any]] = {
    FEEDBACK_EVENTS: {"event": "create", "value": 1, "weight": 1, "created_at": AT},
    REQUEST_LOGS: {"event": "request", "started_at": AT, "received_at": AT},
}


def incoming(topic: str, offset: int, **other: Any) -> IncomingEvent:
    name = "feedback_id" if topic == FEEDBACK_EVENTS else "request_id"
    event = EVENTS[topic] | KEYED | {name: str(ids.idempotent_id(HASH, "w", "k"))} | other
    value = json.dumps(event).encode()
    (found,), _ = decode([ConsumerRecord(topic, 0, offset, 0, 0, b"", value, None, 0, 0, ())], 0)
    return found


def test_an_accepted_request_stays_when_it_is_read_again_and_only_a_later_one_is_rejected() -> None:
    buckets, owned, owned_by_another = {HASH: HashBucket()}, {("w", "k"): "a" * 32}, {("w", "k"): "b" * 32}
    assert not apply(buckets, [incoming(REQUEST_LOGS, 5)], owned).rejected
    assert not apply(buckets, [incoming(REQUEST_LOGS, 5)], owned_by_another).rejected
    (rejected,) = apply(buckets, [incoming(REQUEST_LOGS, 6)], owned_by_another).rejected
    assert (rejected.reason, rejected.sequence) == ("idempotency_key_reused", 6)


def test_a_call_that_made_a_feedback_may_be_repeated_and_only_another_call_under_its_key_is_rejected() -> None:
    buckets, owned, owned_by_another = {HASH: HashBucket()}, {("w", "k"): "a" * 32}, {("w", "k"): "b" * 32}
    assert not apply(buckets, [incoming(FEEDBACK_EVENTS, 5)], owned).rejected
    for sequence in (5, 6, 6):
        assert not apply(buckets, [incoming(FEEDBACK_EVENTS, sequence)], owned_by_another).rejected
    other_call = [incoming(FEEDBACK_EVENTS, 7, idempotency_digest="c" * 32)]
    for claims in (owned, owned_by_another):
        (rejected,) = apply(buckets, other_call, claims).rejected
        assert (rejected.reason, rejected.sequence) == ("idempotency_key_reused", 7)

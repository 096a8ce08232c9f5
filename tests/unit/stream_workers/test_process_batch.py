"""A consumer batch is processed in chunks, and the result does not depend on where they were cut."""

import json
from collections import defaultdict
from collections.abc import Iterable
from unittest.mock import patch

from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids
from schemas.murmur2 import murmur2
from schemas.topics import DEAD, FEEDBACK_EVENTS
from stream_workers.batches import process_batch
from stream_workers.join.decode import decode
from stream_workers.join.incoming_events import IncomingEvent, RejectedRecord
from stream_workers.join.trace_state import HashBucket

AT = "2026-11-22T21:43:29.406Z"


def events_of(traces: Iterable[int]) -> list[IncomingEvent]:
    """One create for each of the traces."""
    records = []
    for offset, trace in enumerate(traces):
        trace_hash = murmur2(ids.trace_key("w", f"t{trace}"))
        event = {
            "event": "create", "workspace": "w", "feedback_id": str(ids.new_id(trace_hash, offset)),
            "trace_id": f"t{trace}", "value": 1, "weight": 1, "metadata": {}, "created_at": AT,
        }  # fmt: skip
        value = json.dumps(event).encode()
        records.append(ConsumerRecord(FEEDBACK_EVENTS, 0, offset, 0, 0, b"", value, None, 0, 0, ()))
    found, rejected = decode(records, 0)
    assert not rejected
    return found


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 8))
def test_a_trace_is_whole_in_its_chunk_and_in_order(traces: list[int], size: int) -> None:
    events = events_of(traces)
    with patch.object(process_batch, "CHUNK_EVENTS", size):
        chunks = process_batch.chunks(events)
    assert sorted(a.sequence for part in chunks for a in part) == [a.sequence for a in events]
    places = defaultdict(set)
    for number, part in enumerate(chunks):
        assert part == sorted(part, key=lambda incoming: incoming.sequence)
        for incoming in part:
            places[incoming.trace_hash].add(number)
    assert all(len(numbers) == 1 for numbers in places.values())


def test_a_batch_of_many_traces_is_cut_into_small_chunks() -> None:
    chunks = process_batch.chunks(events_of(range(3 * process_batch.CHUNK_EVENTS)))
    assert [len(part) for part in chunks] == [process_batch.CHUNK_EVENTS] * 3


def test_a_rejected_record_becomes_one_dead_letter_however_many_chunks_there_are() -> None:
    events = events_of(range(3))
    unreadable = RejectedRecord("not_json", "It is not JSON.", 7, events[0].record)
    with patch.object(process_batch, "CHUNK_EVENTS", 1), patch.object(process_batch, "YIELD_EVERY_EVENTS", 1):
        *parts, result = process_batch.process_batch(
            events, [unreadable], {}, lambda hashes: {h: HashBucket() for h in hashes}, {}, 0
        )
    assert parts == [None] * 3
    assert result is not None
    assert result.rows["dead_letters"].num_rows == 1
    assert [message.topic for message in result.messages].count(DEAD) == 1
    assert result.rows["feedback_rows"].num_rows == 3

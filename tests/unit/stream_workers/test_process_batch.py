"""A poll is decided in slices, and nobody can tell where they were cut."""

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
from stream_workers.join.decode import Arrival, Fault, decode
from stream_workers.join.trace_state import Bucket

AT = "2026-11-22T21:43:29.406Z"


def arrivals_of(traces: Iterable[int]) -> list[Arrival]:
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
    found, faults = decode(records, 0)
    assert not faults
    return found


@given(st.lists(st.integers(0, 9), max_size=40), st.integers(1, 8))
def test_a_trace_is_whole_in_its_slice_and_in_order(traces: list[int], size: int) -> None:
    arrivals = arrivals_of(traces)
    with patch.object(process_batch, "SLICE", size):
        slices = process_batch.slices(arrivals)
    assert sorted(a.sequence for part in slices for a in part) == [a.sequence for a in arrivals]
    places = defaultdict(set)
    for number, part in enumerate(slices):
        assert part == sorted(part, key=lambda arrival: arrival.sequence)
        for arrival in part:
            places[arrival.trace_hash].add(number)
    assert all(len(numbers) == 1 for numbers in places.values())


def test_a_poll_of_many_traces_is_cut_into_small_slices() -> None:
    slices = process_batch.slices(arrivals_of(range(3 * process_batch.SLICE)))
    assert [len(part) for part in slices] == [process_batch.SLICE] * 3


def test_what_could_not_be_read_is_said_once_however_many_slices_there_are() -> None:
    arrivals = arrivals_of(range(3))
    unreadable = Fault("not_json", "It is not JSON.", 7, arrivals[0].record)
    with patch.object(process_batch, "SLICE", 1), patch.object(process_batch, "TURN", 1):
        *parts, outcome = process_batch.decide(
            arrivals, [unreadable], {}, lambda hashes: {h: Bucket() for h in hashes}, {}, 0
        )
    assert parts == [None] * 3
    assert outcome is not None
    assert outcome.rows["dead_letters"].num_rows == 1
    assert [message.topic for message in outcome.messages].count(DEAD) == 1
    assert outcome.rows["feedback_rows"].num_rows == 3

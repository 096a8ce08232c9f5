"""What may be committed: never more than the agent has acknowledged, in order, under the present assignment."""

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream_workers.progress import Poll, ProgressOfAssignment, SkippedRecords

A, B = TP("feedback.events.v1", 0), TP("request.logs.v1", 0)


def records(*offsets: int) -> list[ConsumerRecord]:
    return [ConsumerRecord("t", 0, offset, 0, 0, None, b"", None, 0, 0, ()) for offset in offsets]


def poll_of(progress: ProgressOfAssignment, read: dict[TP, list[ConsumerRecord]]) -> Poll:
    progress.gather(read)
    return progress.poll()


def test_nothing_can_be_committed_before_it_is_acknowledged() -> None:
    progress = ProgressOfAssignment()
    poll = poll_of(progress, {A: records(5, 6, 7)})
    assert progress.committable(A) is None
    progress.acknowledge(poll)
    assert progress.committable(A) == 8


def test_acknowledging_past_an_unacknowledged_poll_is_refused() -> None:
    progress = ProgressOfAssignment()
    poll_of(progress, {A: records(0, 1)})
    second = poll_of(progress, {A: records(2)})
    with pytest.raises(SkippedRecords, match="before offset 2"):
        progress.acknowledge(second)
    assert progress.committable(A) is None


def test_a_poll_of_an_earlier_assignment_moves_nothing() -> None:
    progress = ProgressOfAssignment()
    stale = poll_of(progress, {A: records(0, 1, 2), B: records(0)})
    progress.start_anew()
    progress.acknowledge(stale)
    assert progress.committable(A) is None
    progress.acknowledge(poll_of(progress, {A: records(0)}))
    progress.acknowledge(stale)
    assert progress.committable(A) == 1


def test_what_is_seen_through_begins_where_the_assignment_did_and_ends_with_what_is_acknowledged() -> None:
    progress = ProgressOfAssignment()
    assert progress.seen_through(A) is None
    first, second = poll_of(progress, {A: records(7, 8)}), poll_of(progress, {A: records(9)})
    assert progress.seen_through(A) == 7
    progress.acknowledge(first)
    assert progress.seen_through(A) == 9
    progress.acknowledge(second)
    assert progress.seen_through(A) == 10


def test_offsets_the_log_never_had_hold_nothing_up() -> None:
    progress = ProgressOfAssignment()
    progress.acknowledge(poll_of(progress, {A: records(0, 3)}))
    progress.acknowledge(poll_of(progress, {A: records(9)}))
    assert progress.committable(A) == 10


def test_the_next_poll_is_wanted_once_the_agent_asks_for_it_or_the_assignment_is_over() -> None:
    progress = ProgressOfAssignment()
    first = poll_of(progress, {A: records(0)})
    assert not progress.next_wanted
    progress.ask_for_next(first)
    assert progress.next_wanted
    second = poll_of(progress, {A: records(1)})
    progress.start_anew()
    assert progress.next_wanted
    poll_of(progress, {A: records(0)})
    progress.ask_for_next(second)
    assert not progress.next_wanted, "a poll of an earlier assignment asks for nothing"


def test_a_poll_is_all_that_was_read_since_the_one_before_in_order() -> None:
    progress = ProgressOfAssignment()
    progress.gather({A: records(0, 1)})
    progress.gather({B: records(5), A: records(2)})
    assert progress.gathered_count == 4
    poll = progress.poll()
    assert [(batch.tp, [each.offset for each in batch.records]) for batch in poll.batches] == [(A, [0, 1, 2]), (B, [5])]
    progress.gather({A: records(3)})
    assert [batch.next_offset for batch in progress.poll().batches] == [4]


def test_what_was_read_under_an_earlier_assignment_is_in_no_poll() -> None:
    progress = ProgressOfAssignment()
    progress.gather({A: records(0, 1)})
    progress.start_anew()
    assert not progress.gathered_count
    assert [batch.tp for batch in poll_of(progress, {B: records(0)}).batches] == [B]


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 3), st.booleans()), max_size=30))
def test_what_can_be_committed_is_always_a_prefix_of_what_was_acknowledged(
    steps: list[tuple[TP, int, bool]],
) -> None:
    progress = ProgressOfAssignment()
    offsets, acknowledged, blocked = {A: 0, B: 0}, {A: 0, B: 0}, {A: False, B: False}
    for tp, size, acknowledge in steps:
        poll = poll_of(progress, {tp: records(*range(offsets[tp], offsets[tp] + size))})
        offsets[tp] += size
        if acknowledge and not blocked[tp]:
            progress.acknowledge(poll)
            acknowledged[tp] = offsets[tp]
        elif acknowledge:
            with pytest.raises(SkippedRecords):
                progress.acknowledge(poll)
        else:
            blocked[tp] = True
        assert (progress.committable(tp) or 0) == acknowledged[tp]

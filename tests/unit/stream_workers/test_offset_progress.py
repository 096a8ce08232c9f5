"""What may be committed: never more than the agent has acknowledged, in order, under the present assignment."""

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream_workers.batches.offset_progress import Lost, Poll, ProgressOfAssignment, SkippedRecords, holes

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


def test_what_the_log_has_lost_is_delivered_before_what_follows_it() -> None:
    progress = ProgressOfAssignment()
    progress.begin(A, committed=5, start=9)
    batch = poll_of(progress, {A: records(9, 10)}).batches[0]
    assert (batch.lost, batch.next_offset) == ((Lost(5, 9),), 11)
    assert poll_of(progress, {A: records(11)}).batches[0].lost == ()
    assert poll_of(progress, {A: records(14, 15, 18)}).batches[0].lost == (Lost(12, 14), Lost(16, 18))


def test_what_is_lost_is_delivered_although_nothing_follows_and_then_committed() -> None:
    progress = ProgressOfAssignment()
    progress.begin(A, committed=5, start=9)
    progress.begin(B, committed=3, start=0)
    assert progress.has_poll
    (batch,) = (lost := progress.poll()).batches
    assert (batch.tp, batch.records, batch.lost) == (A, [], (Lost(5, 9),))
    assert progress.committable(A) is None
    progress.acknowledge(lost)
    assert (progress.committable(A), progress.committable(B), progress.has_poll) == (9, None, False)
    assert poll_of(progress, {A: records(9)}).batches[0].lost == ()


@pytest.mark.parametrize(
    ("committed", "start", "first", "lost"),
    [
        (5, 0, 5, ()),
        (5, None, 5, ()),
        (5, None, 7, (Lost(5, 7),)),
        (0, 3, 3, (Lost(0, 3),)),
        (None, 0, 0, ()),
        (None, 3, 3, (Lost(None, 3),)),
        (None, 3, 4, (Lost(None, 3), Lost(3, 4))),
        (None, None, 4, ()),
        # The topic was made anew: what is read again is no loss.
        (5, 0, 0, ()),
    ],
)
def test_a_loss_is_what_lies_between_the_commit_and_the_first_record(
    committed: int | None, start: int | None, first: int, lost: tuple[Lost, ...]
) -> None:
    progress = ProgressOfAssignment()
    progress.begin(A, committed, start)
    assert poll_of(progress, {A: records(first)}).batches[0].lost == lost


@given(st.integers(0, 30), st.sets(st.integers(0, 30), min_size=1))
def test_every_offset_from_the_expected_one_on_is_a_record_or_lost(expected: int, offsets: set[int]) -> None:
    read = records(*sorted(offsets))
    lost = [offset for hole in holes(expected, read) for offset in range(hole.first or 0, hole.end)]
    assert sorted([*lost, *offsets]) == list(range(min(expected, *offsets), max(offsets) + 1))

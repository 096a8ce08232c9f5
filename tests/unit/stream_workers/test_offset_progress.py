"""Which offsets may be committed: only those the agent has acknowledged, in order, under the present assignment."""

import pytest
from aiokafka.structs import ConsumerRecord
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from stream_workers.batches.offset_progress import (
    AssignmentProgress,
    CommitsWentBackError,
    ConsumerBatch,
    LostOffsets,
    SkippedRecords,
    missing_offsets,
)

A, B = TP("feedback.events.v1", 0), TP("request.logs.v1", 0)


def records(*offsets: int) -> list[ConsumerRecord]:
    return [ConsumerRecord("t", 0, offset, 0, 0, None, b"", None, 0, 0, ()) for offset in offsets]


def batch_of(progress: AssignmentProgress, read: dict[TP, list[ConsumerRecord]]) -> ConsumerBatch:
    progress.gather(read)
    return progress.take_batch()


def test_nothing_can_be_committed_before_it_is_acknowledged() -> None:
    progress = AssignmentProgress()
    batch = batch_of(progress, {A: records(5, 6, 7)})
    assert progress.committable(A) is None
    progress.acknowledge(batch)
    assert progress.committable(A) == 8


def test_acknowledging_past_an_unacknowledged_batch_is_refused() -> None:
    progress = AssignmentProgress()
    batch_of(progress, {A: records(0, 1)})
    second = batch_of(progress, {A: records(2)})
    with pytest.raises(SkippedRecords, match="before offset 2"):
        progress.acknowledge(second)
    assert progress.committable(A) is None


def test_a_batch_of_an_earlier_assignment_moves_nothing() -> None:
    progress = AssignmentProgress()
    stale = batch_of(progress, {A: records(0, 1, 2), B: records(0)})
    progress.reset()
    progress.acknowledge(stale)
    assert progress.committable(A) is None
    progress.acknowledge(batch_of(progress, {A: records(0)}))
    progress.acknowledge(stale)
    assert progress.committable(A) == 1


def test_what_was_read_and_waits_for_the_first_batch_of_its_partition_is_not_acknowledged() -> None:
    progress = AssignmentProgress()
    batch_of(progress, {B: records(3)})
    progress.gather({A: records(7, 8)})
    progress.gather({A: records(9)})
    assert progress.acknowledged_through(A) == 7
    assert progress.acknowledged_through(B) == 3
    progress.acknowledge(progress.take_batch())
    assert progress.acknowledged_through(A) == 10


def test_the_acknowledged_offset_begins_where_the_assignment_did_and_moves_with_acknowledgements() -> None:
    progress = AssignmentProgress()
    assert progress.acknowledged_through(A) is None
    first, second = batch_of(progress, {A: records(7, 8)}), batch_of(progress, {A: records(9)})
    assert progress.acknowledged_through(A) == 7
    progress.acknowledge(first)
    assert progress.acknowledged_through(A) == 9
    progress.acknowledge(second)
    assert progress.acknowledged_through(A) == 10


def test_offsets_the_log_never_had_hold_nothing_up() -> None:
    progress = AssignmentProgress()
    progress.acknowledge(batch_of(progress, {A: records(0, 3)}))
    progress.acknowledge(batch_of(progress, {A: records(9)}))
    assert progress.committable(A) == 10


def test_the_next_batch_is_requested_once_the_agent_asks_for_it_or_the_assignment_is_over() -> None:
    progress = AssignmentProgress()
    first = batch_of(progress, {A: records(0)})
    assert not progress.next_requested
    progress.request_next(first)
    assert progress.next_requested
    second = batch_of(progress, {A: records(1)})
    progress.reset()
    assert progress.next_requested
    batch_of(progress, {A: records(0)})
    progress.request_next(second)
    assert not progress.next_requested, "a batch of an earlier assignment asks for nothing"


def test_a_batch_holds_all_records_read_since_the_one_before_in_order() -> None:
    progress = AssignmentProgress()
    progress.gather({A: records(0, 1)})
    progress.gather({B: records(5), A: records(2)})
    assert progress.gathered_count == 4
    batch = progress.take_batch()
    assert [(part.tp, [each.offset for each in part.records]) for part in batch.partitions] == [
        (A, [0, 1, 2]),
        (B, [5]),
    ]
    progress.gather({A: records(3)})
    assert [part.next_offset for part in progress.take_batch().partitions] == [4]


def test_records_read_under_an_earlier_assignment_are_in_no_batch() -> None:
    progress = AssignmentProgress()
    progress.gather({A: records(0, 1)})
    progress.reset()
    assert not progress.gathered_count
    assert [part.tp for part in batch_of(progress, {B: records(0)}).partitions] == [B]


@given(st.lists(st.tuples(st.sampled_from([A, B]), st.integers(1, 3), st.booleans()), max_size=30))
def test_what_can_be_committed_is_always_a_prefix_of_what_was_acknowledged(
    steps: list[tuple[TP, int, bool]],
) -> None:
    progress = AssignmentProgress()
    offsets, acknowledged, blocked = {A: 0, B: 0}, {A: 0, B: 0}, {A: False, B: False}
    for tp, size, acknowledge in steps:
        batch = batch_of(progress, {tp: records(*range(offsets[tp], offsets[tp] + size))})
        offsets[tp] += size
        if acknowledge and not blocked[tp]:
            progress.acknowledge(batch)
            acknowledged[tp] = offsets[tp]
        elif acknowledge:
            with pytest.raises(SkippedRecords):
                progress.acknowledge(batch)
        else:
            blocked[tp] = True
        assert (progress.committable(tp) or 0) == acknowledged[tp]


def test_lost_offsets_are_delivered_with_the_records_after_them() -> None:
    progress = AssignmentProgress()
    progress.begin(A, committed=5, start=9)
    part = batch_of(progress, {A: records(9, 10)}).partitions[0]
    assert (part.lost, part.next_offset) == ((LostOffsets(5, 9),), 11)
    assert batch_of(progress, {A: records(11)}).partitions[0].lost == ()
    assert batch_of(progress, {A: records(14, 15, 18)}).partitions[0].lost == (LostOffsets(12, 14), LostOffsets(16, 18))


def test_lost_offsets_are_delivered_without_records_after_them_and_then_committed() -> None:
    progress = AssignmentProgress()
    progress.begin(A, committed=5, start=9)
    progress.begin(B, committed=3, start=0)
    assert progress.has_batch
    (part,) = (lost := progress.take_batch()).partitions
    assert (part.tp, part.records, part.lost) == (A, [], (LostOffsets(5, 9),))
    assert progress.committable(A) is None
    progress.acknowledge(lost)
    assert (progress.committable(A), progress.committable(B), progress.has_batch) == (9, None, False)
    assert batch_of(progress, {A: records(9)}).partitions[0].lost == ()


@pytest.mark.parametrize(
    ("committed", "start", "first", "lost"),
    [
        (5, 0, 5, ()),
        (5, None, 5, ()),
        (5, None, 7, (LostOffsets(5, 7),)),
        (0, 3, 3, (LostOffsets(0, 3),)),
        (None, 0, 0, ()),
        (None, 3, 3, (LostOffsets(None, 3),)),
        (None, 3, 4, (LostOffsets(None, 3), LostOffsets(3, 4))),
        (None, None, 4, ()),
        # The topic was made anew: what is read again is no loss.
        (5, 0, 0, ()),
    ],
)
def test_a_loss_is_what_lies_between_the_commit_and_the_first_record(
    committed: int | None, start: int | None, first: int, lost: tuple[LostOffsets, ...]
) -> None:
    progress = AssignmentProgress()
    progress.begin(A, committed, start)
    assert batch_of(progress, {A: records(first)}).partitions[0].lost == lost


@given(st.integers(0, 30), st.sets(st.integers(0, 30), min_size=1))
def test_every_offset_from_the_expected_one_on_is_a_record_or_lost(expected: int, offsets: set[int]) -> None:
    read = records(*sorted(offsets))
    lost = [offset for hole in missing_offsets(expected, read) for offset in range(hole.first or 0, hole.end)]
    assert sorted([*lost, *offsets]) == list(range(min(expected, *offsets), max(offsets) + 1))


def test_a_commit_before_one_of_this_process_is_that_of_another_log() -> None:
    """Kafka was replaced while the worker ran. It went on, and what it stored counted as older than before."""
    progress = AssignmentProgress()
    progress.begin(A, None, 0)
    progress.note_commits({A: 100}, progress.number)
    progress.note_commits({A: 200}, progress.number - 1)
    progress.reset()
    progress.begin(A, 100, 0)
    progress.begin(A, 150, 120)
    for committed, found in ((None, "no commit"), (99, "99")):
        progress.reset()
        with pytest.raises(CommitsWentBackError, match=f"committed offset 100 of .*, and Kafka has {found}: its log"):
            progress.begin(A, committed, 0)

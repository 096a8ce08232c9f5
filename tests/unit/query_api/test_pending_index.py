"""The index of what waits in a partition says what a look at the whole log would say, and takes each record once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.reading.pending_index import LogChangedError, PendingIndex, Record

Key = tuple[str, str]
KEYS: list[Key] = [(workspace, feedback) for workspace in ("w", "v") for feedback in "abc"]


def record(offset: int, key: Key, at: int = 0) -> Record:
    event = {"event": "create", "workspace": key[0], "feedback_id": key[1], "metadata": {"feedback_id": "z"}}
    return Record(offset, at, json.dumps(event).encode())


def read(index: PendingIndex, log: list[Record], committed: int, most: int = 10**9) -> int:
    """As much of the log as may be read at once, to its end; how many records were looked at."""
    start = index.begin(committed)
    part = log[start : start + most]
    for each in part:
        index.take(each)
    if start + len(part) >= len(log):
        index.end()
    return len(part)


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 3), st.integers(1, 4)), max_size=30))
def test_it_holds_what_is_in_the_log_beyond_the_commit_and_takes_each_record_once(
    steps: list[tuple[Key, int, int]],
) -> None:
    index, log, committed, looked = PendingIndex(), [], 0, 0
    for key, commits, count in steps:
        log += [record(len(log) + number, key) for number in range(count)]
        committed = min(len(log), committed + commits)
        looked += read(index, log, committed)
        held = {each for each in KEYS if index.holds(*each)}
        assert held == {key for key in KEYS for each in log[committed:] if record(each.offset, key) == each}
        assert len(index) == len(held)
    # Each step meets the last record once more.
    assert looked <= len(log) + len(steps)


def test_a_commit_that_went_back_is_read_from_there() -> None:
    index, log = PendingIndex(), [record(number, KEYS[number % 6]) for number in range(12)]
    read(index, log, 9)
    assert not index.holds(*KEYS[0])
    read(index, log, 6)
    assert index.holds(*KEYS[0])


def test_another_log_at_the_same_offsets_is_noticed() -> None:
    log = [record(number, KEYS[0]) for number in range(5)]
    about_others, later = ([record(n, key, at) for n in range(9)] for key, at in ((KEYS[1], 0), (KEYS[0], 1)))
    for other in (about_others, later, log[:2]):
        index = PendingIndex()
        read(index, log, 1)
        with pytest.raises(LogChangedError):
            read(index, other, 1)


def test_a_log_that_is_longer_than_one_look_is_read_on_where_the_look_ended() -> None:
    index, log = PendingIndex(), [record(number, ("w", str(number))) for number in range(100)]
    looks = 0
    while not index.holds("w", "99"):
        assert read(index, log, 0, most=11) <= 11
        looks += 1
    assert looks == 10
    assert len(index) == 100


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", b"{", b'{"workspace": 1}', b'"w"', b'{"workspace": "w"}'])
def test_what_cannot_be_read_is_about_nobody(value: bytes | None) -> None:
    index = PendingIndex()
    index.begin(0)
    index.take(Record(0, 0, value))
    index.take(record(1, KEYS[0]))
    assert index.holds(*KEYS[0])
    assert not index.holds("w", "1")

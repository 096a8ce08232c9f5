"""Losses as ranges of sequences: the same loss told twice is one, and what is acknowledged counts no more."""

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from operations.lost_records import Losses, SequenceRange, clip_ranges, merge_ranges, subtract_ranges

ranges = st.lists(st.builds(SequenceRange, st.integers(0, 20), st.integers(0, 20)), max_size=6)


def numbers(found: list[SequenceRange]) -> set[int]:
    return set(chain.from_iterable(range(each.first, each.end) for each in found))


@given(ranges, ranges)
def test_ranges_are_sets_of_sequences(some: list[SequenceRange], others: list[SequenceRange]) -> None:
    one, other = merge_ranges(some), merge_ranges(others)
    assert numbers(one) == numbers(some)
    assert all(a.end < b.first for a, b in pairwise(one)), "as few as can be, in order"
    assert numbers(subtract_ranges(one, other)) == numbers(some) - numbers(others)
    assert sum(each.end - each.first for each in subtract_ranges(one, other)) == len(numbers(some) - numbers(others))
    assert numbers(clip_ranges(one, 5, 9)) == numbers(some) & set(range(5, 9))
    assert numbers(Losses(some, others).open) == numbers(some) - numbers(others)
    assert numbers(Losses(some, others).known) == numbers(some) | numbers(others)

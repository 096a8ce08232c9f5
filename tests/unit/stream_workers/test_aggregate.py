"""The numbers of a trace are those of the feedback that stands on it, whatever came and went before."""

from hypothesis import given
from hypothesis import strategies as st

from stream_workers.join.aggregate import BILLION, Totals

FEEDBACK = st.tuples(st.integers(-10, 10), st.integers(0, BILLION))


@given(st.lists(FEEDBACK), st.data())
def test_what_is_taken_out_again_leaves_no_trace(added: list[tuple[int, int]], data: st.DataObject) -> None:
    totals = Totals()
    for each in added:
        totals.add(*each)
    taken = data.draw(st.lists(st.sampled_from(range(len(added))), unique=True)) if added else []
    for n in taken:
        totals.remove(*added[n])
    standing = [each for n, each in enumerate(added) if n not in taken]
    assert totals.count == len(standing)
    assert totals.weight_sum == sum(weight for _, weight in standing)
    assert totals.value_weight_sum == sum(value * weight for value, weight in standing)
    assert totals.weight_value_squared_sum == sum(value * value * weight for value, weight in standing)
    assert totals.value_min == min((value for value, _ in standing), default=None)
    assert totals.value_max == max((value for value, _ in standing), default=None)

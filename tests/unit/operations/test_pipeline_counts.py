"""What a page may say of the pipeline: never more stored than was accepted."""

from hypothesis import given
from hypothesis import strategies as st

from operations.pipeline_counts import Counts

NUMBERS = st.integers(0, 10**12)


@given(*[NUMBERS] * 7)
def test_rows_of_records_that_were_read_twice_are_told_apart(
    stored: int, dead: int, erased: int, lost: int, acknowledged: int, waiting: int, twice: int
) -> None:
    accepted = stored + dead + erased + lost + acknowledged + waiting
    found = Counts(stored + twice, dead, erased, lost, acknowledged, 0)
    assert found.beyond(accepted) == max(0, twice - waiting)
    assert found.stored - found.beyond(accepted) <= accepted

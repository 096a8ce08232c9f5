"""A log that ends before records which are stored of it is refused; a log that has begun above them is not."""

import pytest

from runtime.log_age import OlderLogError, require_later_end, within_the_log

A, B = ("feedback.events.v1", 0), ("request.logs.v1", 3)


@pytest.mark.parametrize(
    ("highest", "ends", "base"),
    [
        ({}, {}, 0),
        ({A: 41}, {A: 42, B: 0}, 0),
        ({A: 1_041, B: 1_006}, {A: 42, B: 7}, 1_000),
    ],
)
def test_a_log_that_has_all_that_is_stored_of_it_is_taken(
    highest: dict[tuple[str, int], int], ends: dict[tuple[str, int], int], base: int
) -> None:
    require_later_end(highest, ends, base)


@pytest.mark.parametrize("ends", [{A: 42, B: 7}, {A: 42}])
def test_a_log_that_ends_before_what_is_stored_of_it_is_refused_with_both_offsets(
    ends: dict[tuple[str, int], int],
) -> None:
    told = rf"request\.logs\.v1/3 ends at offset {ends.get(B, 0)}, and ClickHouse has stored its offset 2,007\."
    with pytest.raises(OlderLogError, match=told):
        require_later_end({A: 1_041, B: 3_007}, ends, 1_000)


def test_what_earlier_logs_left_is_not_of_this_one() -> None:
    assert within_the_log({A: 999, B: 1_000}, 1_000) == {B: 1_000}

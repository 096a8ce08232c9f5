"""Spans in the order of their tree, whatever they say of their parents."""

from hypothesis import given
from hypothesis import strategies as st

from query_api.reading.span_tree import Span, in_tree_order

NAMES = st.sampled_from(["", "a", "b", "c", "d", "e"])
SPANS = st.lists(st.builds(Span, NAMES, NAMES), max_size=12)


def names(*spans: tuple[str, str]) -> str:
    """Ids in order, each with its depth."""
    return " ".join(f"{spans[at][0]}{depth}" for at, depth in in_tree_order([Span(*each) for each in spans]))


def test_children_follow_their_parent_and_siblings_are_in_order_of_time() -> None:
    assert names(("r", ""), ("y", "r"), ("z", "r"), ("y2", "y"), ("s", ""), ("y1", "y")) == "r0 y1 y22 y12 z1 s0"


def test_a_child_that_began_before_its_parent_is_told_below_it() -> None:
    assert names(("child", "late"), ("late", "")) == "late0 child1"


def test_a_span_whose_parent_is_unknown_begins_a_tree() -> None:
    assert names(("a", "gone"), ("b", "a")) == "a0 b1"


def test_a_circle_is_opened_at_its_earliest_span() -> None:
    assert names(("a", "c"), ("b", "a"), ("c", "b"), ("self", "self")) == "a0 b1 c2 self0"


def test_a_chain_of_any_length_is_followed() -> None:
    chain = [Span(str(n), str(n - 1)) for n in range(20_000)]
    assert in_tree_order(chain)[-1] == (19_999, 19_999)


@given(SPANS)
def test_every_span_is_told_once_below_the_parent_it_names(spans: list[Span]) -> None:
    ordered = in_tree_order(spans)
    assert sorted(position for position, _ in ordered) == list(range(len(spans)))
    above: list[int] = []
    for position, depth in ordered:
        assert depth <= len(above)
        del above[depth:]
        if depth:
            assert spans[above[-1]].span_id == spans[position].parent_span_id != ""
        above.append(position)

"""The spans of a trace in the order of their tree.

Pure. Each span is listed once, whatever parents say: one whose parent is not known begins a tree of its own, and so
does the earliest span of a circle.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A span as its log tells it; the empty string where it has no id or no parent."""

    span_id: str
    parent_span_id: str


def in_tree_order(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Position and depth of each span, parents before their children and siblings as they come.

    `spans` are in the order of time. Where several have the same id, the first one is the parent.
    """
    known: dict[str, int] = {}
    for position, span in enumerate(spans):
        if span.span_id:
            known.setdefault(span.span_id, position)
    children: dict[int, list[int]] = defaultdict(list)
    roots = []
    for position, span in enumerate(spans):
        parent = known.get(span.parent_span_id)
        if parent is None:
            roots.append(position)
        else:
            children[parent].append(position)

    ordered: list[tuple[int, int]] = []
    listed: set[int] = set()
    # All spans follow the roots: those that are listed by then are passed over, and of a circle the earliest is first.
    for start in (*roots, *range(len(spans))):
        stack = [(start, 0)]
        while stack:
            position, depth = stack.pop()
            if position not in listed:
                listed.add(position)
                ordered.append((position, depth))
                stack += [(child, depth + 1) for child in reversed(children[position])]
    return ordered

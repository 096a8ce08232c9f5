"""The worked numbers of docs/concepts.md are those that a worker publishes for the same feedback."""

import json
import re
from pathlib import Path

import pytest

from stream_workers.io.output_messages import messages
from stream_workers.join.aggregate import Totals, billionths
from stream_workers.join.changes import Changes
from stream_workers.join.snapshots import TraceSnapshot

PAGE = (Path(__file__).parents[3] / "docs/concepts.md").read_text()
GIVEN, ALL, WITHOUT_THE_GUEST = re.findall(r"^\|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE.partition("## Aggregates")[2], re.M)
GUEST = -10.0


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


def rows(table: str) -> list[list[float]]:
    """The numbers of each row, those of its first cell left out."""
    return [numbers(line.partition("|")[2].partition("|")[2]) for line in table.splitlines()]


def table_numbers(table: str) -> dict[str, float]:
    """Aggregate → number, as a table of the page has them."""
    found = {}
    for line in table.splitlines():
        cells = line.strip("|").split("|")
        found |= dict(zip(re.findall(r"`(\w+)`", cells[0]), numbers(cells[-1]), strict=True))
    return found


def published(totals: Totals) -> dict[str, float]:
    """What a worker tells of a trace with these totals."""
    snapshot = TraceSnapshot(
        "default", "t", totals.count, totals.weight_sum, totals.value_weight_sum, totals.weight_value_squared_sum,
        totals.value_min, totals.value_max, None, 1, 0, 1, 0,
    )  # fmt: skip
    (message,) = messages(Changes(traces=[snapshot]))
    told: dict[str, float] = json.loads(message.value or b"")
    return told


def test_the_aggregates_of_the_example_are_those_that_a_worker_publishes() -> None:
    totals = Totals()
    given = rows(GIVEN)
    assert len(given) == 3
    for value, weight, weighted, weighted_square in given:
        assert (value * weight, weight * value**2) == pytest.approx((weighted, weighted_square))
        totals.add(int(value), billionths(weight))
    for table in (ALL, WITHOUT_THE_GUEST):
        told, expected = published(totals), table_numbers(table)
        assert len(expected) == 8
        assert {name: told[name] for name in expected} == pytest.approx(expected)
        (guest,) = [each for each in given if each[0] == GUEST]
        if table is ALL:
            totals.remove(int(guest[0]), billionths(guest[1]))

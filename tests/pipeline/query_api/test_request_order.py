"""Requests are listed in each order as plain Python sorts them, by pages."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_api.filters.parameters import filters_in
from query_api.reading.request_order import NAMES
from tests.pipeline.query_api.analytics_data import Row, Stored, requests_asked, total
from tests.pipeline.query_api.analytics_world import World
from tests.pipeline.query_api.test_analytics import ALL, some_of
from tests.tries import tries

WEEKS = {"time_of_generation_min": "2025-10-24T00:00:00Z", "time_of_generation_max": "2025-11-10T00:00:00Z"}
DAY = {"time_of_generation_min": "2025-10-25T00:00:00Z", "time_of_generation_max": "2025-10-26T00:00:00Z"}
"""Short enough that only the numbers of its traces are read."""
# Requests of a trace are found through the journal, which these rows have none in; test_reading.py asks for it.
FILTERS = {name: values for name, values in ALL.items() if name != "trace_id"}


def ask(world: World, **query: Any) -> Any:
    return world.ask_at("/v1/logs", **query)


def listed(world: World, **query: Any) -> list[Row]:
    return world.listed("/v1/logs", **query)


def number_of(stored: Stored, row: Row, by: str) -> float | None:
    """The long way of what a request is sorted by."""
    own = {"response_time": "response_time_ms", "total_units": "total_tokens", "cost": "cost"}
    if by in own:
        value = row[own[by]]
        return None if value is None else float(value)
    group = stored.feedback_of(row["trace_id"])
    if by == "feedback_count":
        return len(group)
    divisor = len(group) if by == "mean_value_weight" else sum(each["weight"] for each in group)
    return float(Fraction(total(group)) / Fraction(divisor)) if divisor else None


def sorted_ids(stored: Stored, rows: list[Row], by: str, direction: str) -> list[str]:
    # ClickHouse compares the second half of UUIDs first.
    rows = sorted(rows, key=lambda row: (row["started_at"], *divmod(row["request_id"].int, 2**64)[::-1]), reverse=True)
    if by == "created_at":
        rows = rows if direction == "desc" else rows[::-1]
    else:
        numbered = [(number_of(stored, row, by), row) for row in rows]
        known = [(number, row) for number, row in numbered if number is not None]
        sign = -1 if direction == "desc" else 1
        known.sort(key=lambda each: sign * each[0])
        rows = [row for _, row in known] + [row for number, row in numbered if number is None]
    return [str(row["request_id"]) for row in rows]


@settings(max_examples=tries(10), suppress_health_check=list(HealthCheck))
@given(
    times=st.sampled_from([WEEKS, DAY]),
    query=some_of(FILTERS, 1),
    by=st.sampled_from(NAMES),
    direction=st.sampled_from(["asc", "desc"]),
    size=st.integers(5, 100),
)
@example(WEEKS, {}, "total_units", "desc", 7)
@example(WEEKS, {}, "weighted_mean", "desc", 9)
@example(DAY, {}, "weighted_mean", "asc", 5)
@example(DAY, {}, "mean_value_weight", "asc", 5)
@example(WEEKS, {}, "feedback_count", "asc", 9)
@example(WEEKS, {}, "created_at", "asc", 9)
def test_requests_are_listed_in_each_order_as_plain_python_sorts_them(
    world: World, times: dict[str, str], query: dict[str, str], by: str, direction: str, size: int
) -> None:
    wanted = requests_asked(world.stored, filters_in(times | query, "default"))
    found = listed(world, **times, **query, order_by=by, order_by_type=direction, page_size=str(size))
    assert [each["id"] for each in found] == sorted_ids(world.stored, wanted, by, direction)
    means = {str(row["request_id"]): number_of(world.stored, row, "weighted_mean") for row in wanted}
    assert {each["id"]: each["weighted_mean"] for each in found} == means


@pytest.mark.parametrize(
    ("query", "param", "words"),
    [
        ({"order_by": "model"}, "order_by", "created_at, response_time"),
        ({"order_by": "cost"}, "time_of_generation_min", "is required"),
        ({"order_by_type": "asc"}, "time_of_generation_min", "is required"),
        ({"order_by_type": "up", **WEEKS}, "order_by_type", "asc or desc"),
        ({"order_by": "cost", **WEEKS, "cursor": "l" + "A" * 32}, "cursor", "leave it out"),
        ({"order_by": "cost", **WEEKS, "cursor": "d2" + "A" * 44}, "cursor", "leave it out"),
        ({"order_by": "cost", **WEEKS, "cursor": "d3é"}, "cursor", "leave it out"),
    ],
)
def test_an_order_that_is_wrong_is_refused(world: World, query: dict[str, str], param: str, words: str) -> None:
    reply = ask(world, **query)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param
    assert words in reply.json()["error"]["message"]

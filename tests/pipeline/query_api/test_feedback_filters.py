"""Feedback is listed by its value, weight, join state and comment as plain Python lists it, in each order, by pages."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_api.filters.feedback_parameters import FeedbackFilters, feedback_filters_in
from tests.pipeline.query_api.analytics_data import Row, feedback_listed
from tests.pipeline.query_api.analytics_world import World
from tests.pipeline.query_api.test_analytics import ALL, some_of
from tests.tries import tries

TIMES = {"time_of_generation_min": "2025-10-24T00:00:00Z", "time_of_generation_max": "2025-11-10T00:00:00Z"}
OWN = {
    "join_state": ["joined", "orphaned"],
    "value_min": ["-3", "10"],
    "value_max": ["0", "-4"],
    "weight_min": ["0.1", "0.111111111", "0.1111111111"],
    "weight_max": ["0.9", "0.55555555"],
    "comment": [
        "slow",
        "TOO",
        "langsam über",
        "too fast",
        '"no\\way"',
        "мЕД",
        "5",
        "o l",
        "GROSSARTIG",
        "straße",
        "fuss",
        "muß",
    ],
}


def ask(world: World, **query: Any) -> Any:
    return world.ask_at("/v1/feedback", **query)


def listed(world: World, **query: Any) -> list[Row]:
    return world.listed("/v1/feedback", **query)


def filters_of(query: dict[str, str]) -> FeedbackFilters:
    return feedback_filters_in(query, "default")


@settings(max_examples=tries(10), suppress_health_check=list(HealthCheck))
@given(
    query=st.one_of(some_of(OWN, 3), st.tuples(some_of(OWN), some_of(ALL)).map(lambda both: both[0] | both[1])).filter(
        lambda query: not {"value_min", "value_max"} <= query.keys()
    ),
    order=st.sampled_from(["newest", "worst", "best"]),
    size=st.integers(20, 100),
)
@example({}, "worst", 7)
@example({}, "best", 7)
@example({"comment": "too slow"}, "newest", 20)
@example({"comment": "GROSSARTIG straße fuss MUSS"}, "newest", 20)
@example({"join_state": "orphaned"}, "newest", 20)
def test_feedback_is_listed_as_plain_python_lists_it(
    world: World, query: dict[str, str], order: str, size: int
) -> None:
    wanted = feedback_listed(world.stored, filters_of(TIMES | query))
    found = listed(world, **TIMES, **query, order=order, page_size=str(size))
    ranked = {"newest": lambda value: 0, "worst": lambda value: value, "best": lambda value: -value}[order]
    places = [(ranked(each["value"]), -datetime.fromisoformat(each["created_at"]).timestamp()) for each in found]
    assert places == sorted((ranked(row["value"]), -row["created_at"].timestamp()) for row in wanted)
    assert sorted((each["id"], each["value"], each["weight"]) for each in found) == sorted(
        (str(row["feedback_id"]), row["value"], float(row["weight"])) for row in wanted
    )


def test_the_data_try_every_filter_of_feedback(world: World) -> None:
    for name, values in OWN.items():
        for value in values:
            chosen = feedback_listed(world.stored, filters_of({name: value}))
            assert 0 < len(chosen) < len(world.stored.feedback), (name, value)


@pytest.mark.parametrize(
    ("query", "param", "told"),
    [
        ({"order": "oldest"}, "order", "newest, worst or best"),
        ({"order": "worst"}, "time_of_generation_min", "is required"),
        ({"order": "worst", **TIMES, "cursor": "f" + "A" * 32}, "cursor", "leave it out"),
        ({"order": "worst", **TIMES, "cursor": "bA" + "A" * 32}, "cursor", "leave it out"),
        ({"order": "worst", **TIMES, "cursor": "wZ" + "A" * 32}, "cursor", "leave it out"),
        ({"order": "worst", **TIMES, "cursor": "w"}, "cursor", "leave it out"),
        ({"comment": " "}, "comment", "must not be empty"),
        ({"comment": "x" * 201}, "comment", "at most 200 characters, got 201"),
        ({"comment": " ".join(map(str, range(21)))}, "comment", "at most 20 words, got 21"),
        ({"comment": ["a", "b"]}, "comment", "must be text"),
        ({"value_min": "1.5"}, "value_min", "a whole number"),
        ({"value_min": "3", "value_max": "2"}, "value_max", "must not be less than value_min"),
        ({"weight_max": "heavy"}, "weight_max", 'a number below 10^15, got "heavy"'),
        ({"wieght_max": "1"}, "wieght_max", "weight_max"),
        ({"join_state": "lost"}, "join_state", 'orphaned, got "lost"'),
    ],
)
def test_what_cannot_be_asked_of_feedback_is_refused_by_its_name(
    world: World, query: dict[str, Any], param: str, told: str
) -> None:
    reply = ask(world, **query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert told in reply.json()["message"]

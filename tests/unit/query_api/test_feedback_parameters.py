"""Filters of feedback are read alike from a query string and from a JSON body, and bound as values."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from query_api.filters.feedback_conditions import conditions_on_listed_feedback, spellings
from query_api.filters.feedback_parameters import (
    NAMES,
    FeedbackFilters,
    feedback_filters_in,
    feedback_filters_in_query,
    openapi_feedback_parameters,
)
from query_api.filters.parameter_values import Range
from query_api.filters.parameters import LogFilters
from runtime.http_errors import ApiError

EVERYTHING = {
    "user": "u",
    "join_state": "orphaned",
    "comment": "  zu langsam\tzu ",
    "value_min": "-10",
    "value_max": "-5",
    "weight_min": "0.1",
    "weight_max": "0.75",
}


def test_every_filter_is_read_and_a_word_that_stands_twice_once() -> None:
    read = feedback_filters_in_query(QueryParams({**EVERYTHING, "page_size": "1"}), "w", ["page_size"])
    assert read == FeedbackFilters(
        LogFilters("w", texts={"user": ("u",)}),
        "orphaned",
        value=Range(Decimal(-10), Decimal(-5)),
        weight=Range(Decimal("0.1"), Decimal("0.75")),
        words=("zu", "langsam"),
    )
    body: dict[str, Any] = {
        **EVERYTHING, "value_min": -10, "value_max": -5.0, "weight_min": 0.1, "weight_max": 0.75, "ai_model": None
    }  # fmt: skip
    assert feedback_filters_in(body, "w") == read
    assert feedback_filters_in({"comment": None, "join_state": None, "value_min": None}, "w") == FeedbackFilters(
        LogFilters("w")
    )


@given(
    st.sampled_from(sorted(NAMES)), st.text(max_size=9) | st.integers() | st.floats() | st.lists(st.text(max_size=3))
)
def test_whatever_is_sent_is_read_or_refused_by_name(name: str, value: Any) -> None:
    told = None
    try:
        assert feedback_filters_in({name: value}, "w").shared == LogFilters("w")
    except ApiError as error:
        told = error.param
    assert told in (None, name)


def test_no_value_stands_in_the_text_of_a_condition() -> None:
    conditions = conditions_on_listed_feedback(feedback_filters_in(EVERYTHING, "w"), "f")
    for value in ("langsam", "0.75", "-10"):
        assert value not in conditions.text
    assert all(f"{{{name}:" in conditions.text for name in conditions.parameters)


def test_the_openapi_document_lists_every_filter_and_the_refusal_of_an_unknown_one_too() -> None:
    assert {each["name"] for each in openapi_feedback_parameters()} == NAMES
    with pytest.raises(ApiError) as error:
        feedback_filters_in({"coment": "slow"}, "w")
    assert error.value.param == "coment"
    assert {"comment", "join_state", "user"} <= set(error.value.message.replace(",", "").split())


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("slow", ["slow"]),
        ("GROSS", ["GROSS", "gross", "groß"]),
        ("Straße", ["Straße", "strasse", "straße"]),
        ("assess", ["assess", "aßess", "asseß", "aßeß"]),
        ("ss" * 9, ["ss" * 9, "ß" * 9]),
    ],
)
def test_a_word_is_sought_in_either_spelling_of_its_sharp_s(word: str, written: list[str]) -> None:
    assert sorted(spellings(word)) == sorted(written)

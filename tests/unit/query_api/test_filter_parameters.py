"""Filters read from a query string or a JSON body mean the same, and every fault is told by its parameter's name."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from query_api.filters.conditions import conditions_on_feedback, conditions_on_requests
from query_api.filters.parameter_values import Range
from query_api.filters.parameters import NAMES, LogFilters, filters_in, filters_in_query, openapi_parameters
from runtime.http_errors import ApiError

AN_ID = "01970000-0000-8000-8000-9b11edf90000"
EVERYTHING = {
    "workspace_slug": "w",
    "time_of_generation_min": "2026-11-01T00:00:00Z",
    "time_of_generation_max": "2026-11-02",
    "total_units_min": "1",
    "total_units_max": "20",
    "prompt_token_max": "7",
    "completion_token_min": "2",
    "cost_max": "0.5",
    "response_time_min": "800.5",
    "weighted_feedback_min": "-1.25",
    "status_code": "200, 429",
    "ai_model": "m-1",
    "ai_org": "openai",
    "ai_org_model": "openai__gpt__4,google__gemini",
    "trace_id": "a,b",
    "span_id": "s",
    "prompt_slug": "p",
    "user": "u",
    "organisation": "o",
    "environment": "production",
    "request_id": f"{AN_ID},{AN_ID[:-1]}1",
    "has_feedback": "true",
    "metadata": '{"_user": "", "tier": 3, "paid": true, "plan": "gold"}',
}


def refused(given: dict[str, Any], **options: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        filters_in(given, "w", **options)
    return error.value


def test_every_filter_is_read() -> None:
    assert filters_in_query(QueryParams({**EVERYTHING, "page": "1"}), "w", ["page"]) == LogFilters(
        workspace="w",
        since=datetime(2026, 11, 1, tzinfo=UTC),
        until=datetime(2026, 11, 2, tzinfo=UTC),
        ranges={
            "total_units": Range(Decimal(1), Decimal(20)),
            "prompt_token": Range(None, Decimal(7)),
            "completion_token": Range(Decimal(2), None),
            "cost": Range(None, Decimal("0.5")),
            "response_time": Range(Decimal("800.5"), None),
            "weighted_feedback": Range(Decimal("-1.25"), None),
        },
        texts={
            "ai_model": ("m-1",), "ai_org": ("openai",), "trace_id": ("a", "b", "a,b"), "span_id": ("s",),
            "prompt_slug": ("p",), "user": ("u",), "organisation": ("o",), "environment": ("production",),
        },
        statuses=(200, 429),
        provider_models=(("openai", "gpt__4"), ("google", "gemini")),
        request_ids=(UUID(AN_ID), UUID(f"{AN_ID[:-1]}1")),
        has_feedback=True,
        metadata={"_user": "", "tier": "3", "paid": "true", "plan": "gold"},
    )  # fmt: skip


def test_a_json_body_may_say_the_same_with_numbers_lists_and_objects() -> None:
    body = {
        **EVERYTHING, "total_units_min": 1, "total_units_max": 20.0, "cost_max": 0.5, "weighted_feedback_min": -1.25,
        "status_code": [200, 429], "ai_org_model": ["openai__gpt__4", "google__gemini"], "user": ["u"],
        "has_feedback": True, "request_id": [AN_ID, f"{AN_ID[:-1]}1"],
        "metadata": json.loads(EVERYTHING["metadata"]), "environment": ["production"],
    }  # fmt: skip
    assert filters_in(body, "w") == filters_in(EVERYTHING, "w")
    assert filters_in({"status_code": 200}, "w").statuses == (200,)
    assert filters_in({"trace_id": ["a,b"]}, "w").texts == {"trace_id": ("a,b",)}
    assert filters_in({"cost_min": None, "user": None}, "w") == LogFilters("w")


@pytest.mark.parametrize("name", ["trace_id", "user", "ai_model"])
def test_a_text_with_blanks_at_its_ends_is_asked_for_as_it_is_stored(name: str) -> None:
    assert filters_in({name: " a"}, "w").texts[name] == ("a", " a")
    assert filters_in({name: "a, b "}, "w").texts[name] == ("a", "b", "a, b ")
    assert filters_in({name: ["a ", "b"]}, "w").texts[name] == ("a", "b", "a ")


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-01T10:00:00+02:00", 8),
        ("2026-11-01T10:00:00 02:00", 8),
        ("2026-11-01T10:00:00", 10),
        ("2026-11-01 10:00", 10),
        ("20261101T10Z", 10),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, hour: int) -> None:
    query = QueryParams(f"time_of_generation_min={text.replace('02:00', '02%3A00')}".replace(" ", "+"))
    assert filters_in_query(query, "w").since == datetime(2026, 11, 1, hour, tzinfo=UTC)


def test_a_border_inside_a_millisecond_leaves_out_what_came_before_it() -> None:
    filters = filters_in({"time_of_generation_min": "2026-11-01T00:00:00.000001Z"}, "w")
    assert filters.since == datetime(2026, 11, 1, 0, 0, 0, 1000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "param", "told"),
    [
        ({"cost_min": "cheap"}, "cost_min", 'a number below 10^15, got "cheap"'),
        ({"cost_max": "nan"}, "cost_max", "a number"),
        ({"cost_max": "1e99"}, "cost_max", "a number"),
        ({"cost_max": True}, "cost_max", "a number"),
        ({"cost_max": ["1", "2"]}, "cost_max", "a number"),
        ({"total_units_min": "1.5"}, "total_units_min", "a whole number"),
        ({"cost_min": 2, "cost_max": 1}, "cost_max", "must not be less than cost_min"),
        ({"status_code": "2xx"}, "status_code", 'got "2xx"'),
        ({"status_code": "²"}, "status_code", "HTTP status"),
        ({"status_code": "200,,"}, "status_code", "must not be empty"),
        ({"status_code": 65536}, "status_code", "HTTP status"),
        ({"status_code": []}, "status_code", "must not be empty"),
        ({"ai_org_model": "gpt-4o"}, "ai_org_model", "provider__model"),
        ({"ai_org_model": "__gpt-4o"}, "ai_org_model", "provider__model"),
        ({"user": ""}, "user", "leave it out"),
        ({"user": [1]}, "user", "text, or a list of it"),
        ({"trace_id": ",".join(map(str, range(101)))}, "trace_id", "at most 100 values, got 101"),
        ({"request_id": "4711"}, "request_id", 'a UUID, or several with commas, got "4711"'),
        ({"request_id": [AN_ID, 5]}, "request_id", "a UUID"),
        ({"has_feedback": "yes"}, "has_feedback", 'true or false, got "yes"'),
        ({"has_feedback": 1}, "has_feedback", "true or false"),
        ({"has_feedback": ["true", "true"]}, "has_feedback", "true or false"),
        ({"metadata": "{"}, "metadata", "the JSON of an object"),
        ({"metadata": "[1]"}, "metadata", "the JSON of an object"),
        ({"metadata": '{"a": {"b": 1}}'}, "metadata", '"a" must be text, a number or a boolean, got an object'),
        ({"metadata": {"a": None}}, "metadata", '"a" must be text'),
        ({"metadata": {"a": ""}}, "metadata", '"a" must not be empty'),
        ({"metadata": dict.fromkeys("abcdefghijklmnopqrstu", 1)}, "metadata", "at most 20 keys, got 21"),
        ({"time_of_generation_min": "yesterday"}, "time_of_generation_min", "ISO 8601"),
        ({"time_of_generation_min": 1793491200}, "time_of_generation_min", "ISO 8601"),
        ({"time_of_generation_min": "0001-01-01T00:00:00+23:00"}, "time_of_generation_min", "must be"),
        ({"time_of_generation_min": "1999-12-31"}, "time_of_generation_min", "the years 2000 and 2100"),
        (
            {"time_of_generation_min": "2026-01-01", "time_of_generation_max": "2026-01-01"},
            "time_of_generation_max",
            "must be later than time_of_generation_min",
        ),
        ({"virtual_keys": "k"}, "virtual_keys", "unknown parameter"),
    ],
)
def test_a_fault_is_told_by_the_name_of_its_parameter(given: dict[str, Any], param: str, told: str) -> None:
    error = refused(given)
    assert (error.param, error.status) == (param, 400)
    assert told in error.message


def test_times_are_required_only_where_the_route_says_so() -> None:
    assert refused({}, time_required=True).param == "time_of_generation_min"
    assert refused({"time_of_generation_min": "2026-01-01"}, time_required=True).param == "time_of_generation_max"
    assert filters_in({}, "w") == LogFilters("w")


def test_another_workspace_is_refused_in_words_that_do_not_say_whether_there_is_one() -> None:
    error, other = (refused({"workspace_slug": slug}) for slug in ("theirs", "nobody's"))
    assert (error.param, error.status) == ("workspace_slug", 403)
    assert error.message == other.message


@given(
    st.sampled_from(sorted(NAMES)), st.text(max_size=9) | st.integers() | st.floats() | st.lists(st.text(max_size=3))
)
def test_whatever_is_sent_is_read_or_refused_by_name(name: str, value: Any) -> None:
    told = None
    try:
        assert filters_in({name: value}, "w").workspace == "w"
    except ApiError as error:
        told = error.param
    assert told in (None, name)


@pytest.mark.parametrize("reading", [conditions_on_requests, conditions_on_feedback])
def test_no_value_stands_in_the_text_of_a_condition_and_each_query_is_of_one_workspace(reading: Any) -> None:
    conditions = reading(filters_in(EVERYTHING, "w"), "r")
    for value in ("gpt__4", "google", "production", "gold", "tier", "m-1", "429", AN_ID):
        assert value not in conditions.text
    assert conditions.text.count("workspace = {workspace:String}") == conditions.text.count("SELECT") + 1
    assert all(f"{{{name}:" in conditions.text for name in conditions.parameters)


def test_the_openapi_document_lists_every_filter() -> None:
    told = {each["name"]: each["required"] for each in openapi_parameters(time_required=True)}
    assert told.keys() == NAMES
    assert [name for name, required in told.items() if required] == ["time_of_generation_min", "time_of_generation_max"]

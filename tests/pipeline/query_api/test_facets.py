"""Facets count what plain Python counts in the rows, whatever the filters, and a field's own filter leaves it alone."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_api.filters.feedback_parameters import feedback_filters_in
from query_api.filters.parameter_values import Range
from query_api.filters.parameters import LogFilters, filters_in
from tests.pipeline.query_api.analytics_data import (
    COLUMN_OF,
    REQUEST_COLUMNS,
    Row,
    feedback_listed,
    requests_asked,
    text_of,
)
from tests.pipeline.query_api.analytics_world import World
from tests.pipeline.query_api.test_analytics import ALL, some_of
from tests.pipeline.query_api.test_feedback_filters import OWN
from tests.tries import tries

TIMES = {"time_of_generation_min": "2025-10-24T20:00:00Z", "time_of_generation_max": "2025-10-27T03:00:00Z"}
COLUMNS = {**COLUMN_OF, **REQUEST_COLUMNS, "status_code": "status", "value": "value"}
OF_REQUESTS = ("ai_model", "ai_org", *COLUMN_OF, "status_code", "metadata", "metadata.tier", "metadata._prompt")
OF_FEEDBACK = (
    *("value", "join_state", "ai_model", "ai_org", *COLUMN_OF),
    *("metadata", "metadata.tier", "metadata.comment", "metadata._user"),
)


def ask(world: World, path: str, **query: Any) -> Any:
    return world.runner.run(world.api.get(f"/v1/{path}/facets", params=query))


def facets(world: World, path: str, **query: Any) -> Row:
    reply = ask(world, path, **query)
    assert reply.status_code == 200, reply.text
    found: Row = reply.json()
    return found


def values_in(row: Row, field: str) -> list[str]:
    """What a row says under a field; nothing as the empty text."""
    if field == "metadata":
        return list(row["metadata"]) or [""]
    if "models" in row and field in ("ai_model", "ai_org"):
        return row["models" if field == "ai_model" else "providers"] or [""]
    if field == "join_state":
        return [{"pending": "orphaned"}.get(row["join_state"], row["join_state"])]
    key = field.removeprefix("metadata.")
    return [text_of(row, key) if key != field else str(row[COLUMNS[field]])]


def own_filter_removed(filters: LogFilters, field: str) -> LogFilters:
    key = field.removeprefix("metadata.") if field != "metadata" else ""
    names = {field, *(name for name, column in COLUMN_OF.items() if column == key)}
    return replace(
        filters,
        texts={name: values for name, values in filters.texts.items() if name not in names},
        metadata={name: text for name, text in filters.metadata.items() if name not in (key, COLUMN_OF.get(field))},
        statuses=() if field == "status_code" else filters.statuses,
    )


def facet_of(rows: list[Row], field: str, limit: int, contains: str) -> Row:
    counts = Counter(value for row in rows for value in values_in(row, field))
    missing = counts.pop("", 0)
    chosen = sorted((-n, value) for value, n in counts.items() if contains.lower() in value.lower())
    values = [{"value": value, "count": -negative} for negative, value in chosen[:limit]]
    more = len(chosen) > limit
    return {"field": field, "values": values, "distinct": len(chosen), "more": more, "missing": missing}


@settings(max_examples=tries(6), suppress_health_check=list(HealthCheck))
@given(
    given=some_of(ALL, 3),
    fields=st.lists(st.sampled_from(OF_REQUESTS), min_size=1, unique=True),
    limit=st.integers(1, 5),
    contains=st.sampled_from(["", "", "o", "M", "_p", "nobody"]),
)
@example({"ai_model": "m1", "user": "u1", "status_code": "429,500"}, [*OF_REQUESTS], 3, "")
@example({"metadata": '{"tier": 3, "_user": ""}', "prompt_slug": "p1"}, [*OF_REQUESTS], 100, "")
@example({}, ["metadata"], 100, "")
@example({"user": "nobody"}, ["ai_model"], 1, "")
def test_requests_are_counted_by_the_values_of_fields(
    world: World, given: dict[str, str], fields: list[str], limit: int, contains: str
) -> None:
    query = {**TIMES, **given, "fields": ",".join(fields), "limit": str(limit), "contains": contains}
    found = facets(world, "logs", **query)
    filters = filters_in({**TIMES, **given}, "default")
    assert found["total"] == len(requests_asked(world.stored, filters))
    assert found["facets"] == [
        facet_of(requests_asked(world.stored, own_filter_removed(filters, field)), field, limit, contains)
        for field in fields
    ]


@settings(max_examples=tries(6), suppress_health_check=list(HealthCheck))
@given(
    given=st.tuples(some_of(OWN), some_of(ALL)).map(lambda both: both[0] | both[1]),
    fields=st.lists(st.sampled_from(OF_FEEDBACK), min_size=1, unique=True),
    limit=st.integers(1, 5),
    contains=st.sampled_from(["", "", "o", "M", "nobody"]),
)
@example({"value_min": "3", "join_state": "orphaned", "ai_model": "m1"}, [*OF_FEEDBACK], 3, "")
@example({"comment": "slow", "metadata": '{"_user": "u1"}'}, [*OF_FEEDBACK], 100, "")
def test_feedback_is_counted_by_the_values_of_fields(
    world: World, given: dict[str, str], fields: list[str], limit: int, contains: str
) -> None:
    query = {**TIMES, **given, "fields": ",".join(fields), "limit": str(limit), "contains": contains}
    if {"value_min", "value_max"} <= given.keys():
        del query["value_max"]
    found = facets(world, "feedback", **query)
    filters = feedback_filters_in({name: query[name] for name in {**TIMES, **given} if name in query}, "default")

    def rows(field: str) -> list[Row]:
        narrowed = replace(
            filters,
            shared=own_filter_removed(filters.shared, field),
            value=Range() if field == "value" else filters.value,
            join_state=None if field == "join_state" else filters.join_state,
            words=() if field == "metadata.comment" else filters.words,
        )
        return feedback_listed(world.stored, narrowed)

    assert found["total"] == len(feedback_listed(world.stored, filters))
    assert found["facets"] == [facet_of(rows(field), field, limit, contains) for field in fields]


@pytest.mark.parametrize(("path", "at"), [("logs", "started_at"), ("feedback", "created_at")])
@pytest.mark.parametrize("newest", [1, 7, 1000])
def test_only_the_newest_are_counted_where_so_many_are_asked_for(world: World, path: str, at: str, newest: int) -> None:
    filters = {**TIMES, "ai_model": "m1"}
    rows = (
        requests_asked(world.stored, filters_in(filters, "default"))
        if path == "logs"
        else feedback_listed(world.stored, feedback_filters_in(filters, "default"))
    )
    times = sorted((row[at] for row in rows), reverse=True)
    left = [row for row in rows if row[at] >= times[:newest][-1]]
    fields = ("user", "metadata", "metadata.tier")
    found = facets(world, path, **filters, fields=",".join(fields), limit="100", newest=str(newest))
    assert found["total"] == len(left) >= min(newest, len(rows)) > 0
    # The filter on the model narrows none of these, so that the same are counted.
    assert found["facets"] == [facet_of(left, field, 100, "") for field in fields]


def filtered_by_their_own(number: int) -> dict[str, str]:
    """A query for so many fields, each with a filter."""
    keys = [f"key{n}" for n in range(number)]
    return {"fields": ",".join(f"metadata.{key}" for key in keys), "metadata": json.dumps(dict.fromkeys(keys, "x"))}


def test_as_many_fields_are_counted_without_their_filters_as_may_have_one(world: World) -> None:
    found = facets(world, "logs", **TIMES, **filtered_by_their_own(10))
    assert (found["total"], len(found["facets"])) == (0, 10)


def test_a_chosen_value_leaves_the_others_to_choose_and_narrows_other_fields(world: World) -> None:
    model, status = facets(world, "logs", **TIMES, fields="ai_model,status_code", ai_model="m1")["facets"]
    assert {each["value"] for each in model["values"]} == {"m1", "m2", "m__3"}
    of_m1 = next(each["count"] for each in model["values"] if each["value"] == "m1")
    assert sum(each["count"] for each in status["values"]) == of_m1


@pytest.mark.parametrize(
    ("query", "param", "told"),
    [
        ({}, "fields", "fields is required"),
        ({"fields": "ai_model,colour"}, "fields", 'unknown field "colour"'),
        ({"fields": "metadata."}, "fields", 'unknown field "metadata."'),
        ({"fields": ""}, "fields", "must not be empty"),
        ({"fields": "user", "newest": "0"}, "newest", "from 1 to"),
        ({"fields": "user", "newest": "123456789"}, "newest", "from 1 to"),
        ({"fields": ",".join(f"metadata.{n}" for n in range(21))}, "fields", "at most 20 names, got 21"),
        (filtered_by_their_own(11), "fields", "at most 10 of them may have a filter of their own, got 11"),
        ({"fields": "user", "limit": "0"}, "limit", "from 1 to 100"),
        ({"fields": "user", "limit": "101"}, "limit", "from 1 to 100"),
        ({"fields": "user", "contains": "x" * 201}, "contains", "at most 200 characters, got 201"),
        ({"fields": "user", "usr": "u"}, "usr", "unknown parameter"),
        ({"fields": "user", "time_of_generation_max": ""}, "time_of_generation_max", "ISO 8601"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_its_name(
    world: World, query: dict[str, str], param: str, told: str
) -> None:
    reply = ask(world, "logs", **TIMES | query)
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
    assert told in reply.json()["message"]


def test_a_range_of_time_is_required(world: World) -> None:
    assert ask(world, "logs", fields="user").json()["error"]["param"] == "time_of_generation_min"


def test_a_key_with_a_comma_is_asked_for_in_a_parameter_of_its_own(world: World) -> None:
    found = facets(world, "logs", **TIMES, fields=["metadata.a,b", "user"])
    assert [each["field"] for each in found["facets"]] == ["metadata.a,b", "user"]

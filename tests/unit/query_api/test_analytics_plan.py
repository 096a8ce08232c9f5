"""Rollups serve what they know, and rows the rest; together they cover the time asked for, once."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.analytics.plan import Dimension, Plan, plan, rows_alone
from query_api.analytics.time_buckets import BUCKETS, Bucket, Timeline, timeline, zone_of
from query_api.filters.parameters import filters_in
from tests.buckets import coarse_enough

SINCE, UNTIL = datetime(2026, 10, 1, 10, 30, tzinfo=UTC), datetime(2026, 10, 9, 20, 15, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)


def planned(
    given: dict[str, str], bucket: Bucket = "day", zone: str = "UTC", by: Dimension | None = None, now: datetime = LATER
) -> Plan:
    return plan(filters_in(given, "w"), timeline(SINCE, UNTIL, bucket, zone_of(zone)), by, now)


def sources(chosen: Plan) -> list[str]:
    return [piece.source for piece in chosen.pieces]


def test_whole_days_are_read_as_days_whole_hours_as_hours_and_ragged_ends_as_rows() -> None:
    chosen = planned({})
    assert [(piece.source, piece.since.day, piece.since.hour) for piece in chosen.pieces] == [
        ("rows", 1, 10), ("hour", 1, 11), ("day", 2, 0), ("hour", 9, 0), ("rows", 9, 20),
    ]  # fmt: skip
    assert chosen.dimension == "all"


@pytest.mark.parametrize(
    ("bucket", "zone", "expected"),
    [
        ("hour", "UTC", ["rows", "hour", "rows"]),
        ("day", "Europe/Berlin", ["rows", "hour", "rows"]),
        ("hour", "Asia/Kathmandu", ["rows"]),
        ("day", "America/St_Johns", ["rows"]),
        ("month", "Asia/Kathmandu", ["rows", "hour", "day", "hour", "rows"]),
    ],
)
def test_buckets_that_no_rollup_fits_are_counted_from_rows(bucket: Bucket, zone: str, expected: list[str]) -> None:
    # No month of the range begins inside it, so that its zone does not matter.
    assert sources(planned({}, bucket, zone)) == expected


@pytest.mark.parametrize(
    ("given", "dimension", "keys", "environments"),
    [
        ({"user": "u"}, "user", (("u",),), ()),
        (
            {"organisation": "a,b", "environment": "production"},
            "organisation",
            (("a", "b", "a,b"),),
            (("production",),),
        ),
        ({"prompt_slug": "p"}, "prompt", (("p",),), ()),
        ({"ai_model": "m"}, "model", (("m",),), ()),
        ({"metadata": '{"_user": "", "_environment": "x"}', "user": "u"}, "user", (("u",), ("",)), (("x",),)),
    ],
)
def test_a_filter_on_one_dimension_is_asked_of_its_rollups(
    given: dict[str, str], dimension: str, keys: object, environments: object
) -> None:
    chosen = planned(given)
    assert "day" in sources(chosen)
    assert (chosen.dimension, chosen.keys, chosen.environments) == (dimension, keys, environments)


@pytest.mark.parametrize(
    "given",
    [
        {"user": "u", "organisation": "o"},
        {"ai_model": "m,n"},
        {"ai_org": "openai"},
        {"trace_id": "t"},
        {"status_code": "200"},
        {"weighted_feedback_min": "0"},
        {"cost_max": "1"},
        {"request_id": "01970000-0000-8000-8000-9b11edf90000"},
        {"has_feedback": "true"},
        {"metadata": '{"tier": 1}'},
        {"ai_org_model": "openai__m"},
    ],
)
def test_a_filter_that_rollups_cannot_tell_is_answered_from_rows(given: dict[str, str]) -> None:
    assert sources(planned(given)) == ["rows"]


def test_models_are_told_by_their_own_dimension_and_by_no_other() -> None:
    assert planned({}, by="model").dimension == "model"
    assert "day" in sources(planned({"ai_model": "m,n", "environment": "e"}, by="model"))
    assert sources(planned({"user": "u"}, by="model")) == ["rows"]


def test_prompts_by_model_are_told_by_rollups_of_both() -> None:
    models_of_a_prompt = planned({"prompt_slug": "p", "ai_model": "m,n", "environment": "e"}, by="model")
    assert (models_of_a_prompt.dimension, models_of_a_prompt.read_from) == ("prompt_model", "rollups")
    assert (models_of_a_prompt.keys, models_of_a_prompt.models) == ((("p",),), (("m", "n", "m,n"),))
    assert models_of_a_prompt.environments == (("e",),)
    for by in (None, "prompt", "environment"):
        of_one_model = planned({"prompt_slug": "p", "ai_model": "m"}, by=by)
        assert (of_one_model.dimension, of_one_model.read_from) == ("prompt_model", "rollups")
    assert planned({"ai_model": "m"}, by="prompt").dimension == "prompt_model"
    assert planned({"prompt_slug": "p", "ai_model": "m,n"}).read_from == "rows"
    assert planned({"prompt_slug": "p", "user": "u"}, by="model").read_from == "rows"


def test_a_time_without_a_whole_hour_is_told_by_rows_and_of_rollups_nothing_is_asked() -> None:
    ends = {"time_of_generation_min": "2026-10-01T10:30:00Z", "time_of_generation_max": "2026-10-01T11:30:00Z"}
    filters = filters_in({**ends, "prompt_slug": "p", "ai_model": "m"}, "w")
    when = timeline(SINCE, SINCE + timedelta(hours=1), "day", zone_of("UTC"))
    assert plan(filters, when, None, LATER) == rows_alone(when)


def test_groups_are_told_by_one_dimension_and_by_environment_beside_it() -> None:
    of_prompt = planned({"environment": "e", "prompt_slug": "p"}, by="prompt")
    assert (of_prompt.dimension, of_prompt.keys, of_prompt.environments) == ("prompt", (("p",),), (("e",),))
    by_environment = planned({"user": "u"}, by="environment")
    assert (by_environment.dimension, by_environment.read_from) == ("user", "rollups")
    assert planned({}, by="environment").dimension == "all"
    for several_models in (planned({"ai_model": "m,n"}, by="environment"), planned({"ai_model": "m"}, by="user")):
        assert several_models.read_from == "rows"


@given(
    since=st.integers(0, 9 * 86_400_000),
    length=st.integers(1, 9 * 86_400_000),
    bucket=st.sampled_from(BUCKETS),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    age=st.integers(0, 20 * 24 * 60),
)
def test_the_pieces_cover_the_time_asked_for_once_and_fit_their_source(
    since: int, length: int, bucket: Bucket, zone: str, age: int
) -> None:
    first = SINCE + timedelta(milliseconds=since)
    last = first + timedelta(milliseconds=length)
    when: Timeline = timeline(first, last, coarse_enough(bucket, first, last), zone_of(zone))
    now = SINCE + timedelta(minutes=age)
    pieces = plan(filters_in({}, "w"), when, False, now).pieces
    assert (pieces[0].since, pieces[-1].until) == (when.since, when.until)
    assert all(one.until == two.since for one, two in pairwise(pieces))
    for piece in pieces:
        unit = {"rows": timedelta(milliseconds=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}[piece.source]
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert (piece.since - epoch) % unit == (piece.until - epoch) % unit == timedelta(0)
        assert piece.since < piece.until
        assert piece.source == "rows" or piece.until <= now - timedelta(hours=1)
        assert piece.source == "rows" or all((cut - epoch) % unit == timedelta(0) for cut in when.cuts[1:])

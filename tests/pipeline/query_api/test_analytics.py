"""Numbers of analytics are what plain Python makes of the rows, from whichever tables they are read."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from query_api.analytics.plan import Piece, Plan, plan
from query_api.analytics.sums import Sums, sums_of_feedback
from query_api.analytics.time_buckets import BUCKETS, timeline, zone_of
from query_api.filters.conditions import Amount, conditions_on_feedback, conditions_on_requests
from query_api.filters.parameters import LogFilters, filters_in
from tests.buckets import coarse_enough
from tests.pipeline.query_api.analytics_data import START, Row, feedback_asked, invented, requests_asked, sums_of
from tests.pipeline.query_api.analytics_world import World
from tests.tries import tries

LATER = datetime(2025, 12, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Auckland")

TIMES = st.integers(-3, 100).map(lambda hours: START.replace(minute=0, second=0) + timedelta(hours=hours)) | (
    st.integers(0, 4 * 86_400_000).map(lambda ms: START + timedelta(milliseconds=ms))
)
WHOLE = (START, START + timedelta(days=4))
THREE_HOURS = (START.replace(hour=10, minute=0, second=0), START.replace(hour=13, minute=0, second=0))
RANGES = st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] < pair[1])
OF_ROLLUPS = {
    "user": ["u1"],
    "organisation": ["o1", "o2", "o1,o2", "nobody"],
    "prompt_slug": ["p1"],
    "environment": ["production", "production,staging"],
    "ai_model": ["m1", "m__3", "m1,m2"],
    "metadata": ['{"_user": ""}', '{"_organisation": "o1", "_environment": "staging"}'],
}
OF_ROWS = {
    "trace_id": ["t1,t2,t3,t4,t5,t6,t7,t8", "t18,'x"],
    "span_id": ["s1"],
    "ai_org": ["openai"],
    "ai_org_model": ["openai__m1", "google__m__3,openai__m2"],
    "status_code": ["200", "429,500"],
    "total_units_min": ["12"],
    "prompt_token_max": ["15"],
    "completion_token_min": ["3"],
    "cost_min": ["0.25"],
    "cost_max": ["0.75"],
    "response_time_min": ["400"],
    "response_time_max": ["600.25"],
    "request_id": [",".join(str(row["request_id"]) for row in invented("default", 1).requests[::9])],
    "has_feedback": ["true", "false"],
    "weighted_feedback_min": ["0", "-1.5", "0.333333333"],
    "weighted_feedback_max": ["0.5", "2"],
    "metadata": ['{"tier": 3}', '{"tier": "3", "_prompt": "p2"}', '{"tier": true}', '{"tier": 1.5}'],
}
ALL = {name: [*OF_ROWS.get(name, []), *OF_ROLLUPS.get(name, [])] for name in {**OF_ROWS, **OF_ROLLUPS}}


def some_of(offered: dict[str, list[str]], most: int = 2) -> st.SearchStrategy[dict[str, str]]:
    names = st.lists(st.sampled_from(sorted(offered)), unique=True, max_size=most)
    return names.flatmap(
        lambda chosen: st.fixed_dictionaries({name: st.sampled_from(offered[name]) for name in chosen})
    )


def filters_between(given: dict[str, str], since: datetime, until: datetime) -> LogFilters:
    times = {"time_of_generation_min": since.isoformat(), "time_of_generation_max": until.isoformat()}
    return filters_in({**given, **times}, "default")


@settings(max_examples=tries(15), suppress_health_check=list(HealthCheck))
@given(
    given=some_of(OF_ROLLUPS) | some_of(ALL),
    times=RANGES,
    bucket=st.sampled_from(BUCKETS),
    zone=st.sampled_from(ZONES),
    by_model=st.booleans(),
    age=st.sampled_from([timedelta(0), timedelta(days=3), timedelta(days=30)]),
)
@example({"ai_model": "m1,m2"}, WHOLE, "day", "UTC", False, timedelta(days=30))
@example({"prompt_slug": "p1,p2"}, WHOLE, "day", "UTC", True, timedelta(days=30))
@example({"prompt_slug": "p1", "ai_model": "m1,m2", "environment": "staging"}, WHOLE, "day", "UTC", True, timedelta(3))
@example({"prompt_slug": "p1", "ai_model": "m1"}, WHOLE, "hour", "UTC", False, timedelta(days=30))
def test_sums_are_the_same_from_rollups_from_rows_and_from_plain_python(
    world: World, given: dict[str, str], times: tuple[datetime, datetime], bucket: Any, zone: str, by_model: bool,
    age: timedelta,
) -> None:  # fmt: skip
    filters, when = filters_between(given, *times), timeline(*times, coarse_enough(bucket, *times), zone_of(zone))
    chosen = plan(filters, when, "model" if by_model else None, START + age)

    def sums(way: Plan) -> dict[tuple[datetime, str], Sums]:
        found, read = world.runner.run(sums_of_feedback(world.reader, filters, when, way, by_model=by_model))
        assert read == way
        return found

    groups: dict[tuple[datetime, str], list[Row]] = defaultdict(list)
    for row in feedback_asked(world.stored, filters):
        start = max(each for each in when.starts if each <= row["created_at"])
        models = row["models"] or [""] if by_model else [""]
        for model in models:
            if not by_model or model in filters.texts.get("ai_model", (model,)):
                groups[start, model].append(row)
    expected = {group: sums_of(rows) for group, rows in groups.items()}
    assert sums(Plan((Piece("rows", *times),))) == expected
    assert sums(chosen) == expected


@settings(max_examples=tries(10), suppress_health_check=list(HealthCheck))
@given(given=some_of(ALL, 3), times=RANGES, traces=st.sampled_from(sorted({*get_args(Amount)} - {"named"})))
@example({"weighted_feedback_min": "0"}, WHOLE, "many")
@example({"weighted_feedback_max": "2"}, WHOLE, "many")
@example({"weighted_feedback_max": "2"}, WHOLE, "few")
@example({"has_feedback": "false"}, WHOLE, "few")
@example({"status_code": "500", "metadata": '{"tier": "3"}'}, WHOLE, "few")
def test_filters_choose_the_requests_and_the_feedback_that_plain_python_chooses(
    world: World, given: dict[str, str], times: tuple[datetime, datetime], traces: Amount
) -> None:
    filters = filters_between(given, *times)
    for table, conditions, rows in (
        ("request_logs", conditions_on_requests(filters, "r", traces), requests_asked(world.stored, filters)),
        ("feedback", conditions_on_feedback(filters, "r", traces), feedback_asked(world.stored, filters)),
    ):
        key = "request_id" if table == "request_logs" else "feedback_id"
        query = f"SELECT r.{key} FROM feedback.{table} AS r WHERE {conditions.text}"
        found = world.client.query(query, conditions.parameters).result_rows
        assert {id_ for (id_,) in found} == {row[key] for row in rows}
        assert len(found) == len(rows)


def test_the_data_try_every_filter(world: World) -> None:
    """Each filter chooses some and leaves out some, so that the properties above can fail."""
    for name, values in ALL.items():
        for value in values:
            filters = filters_between({name: value}, START, LATER)
            for chosen, of in (
                (requests_asked(world.stored, filters), world.stored.requests),
                (feedback_asked(world.stored, filters), world.stored.feedback),
            ):
                if name != "has_feedback" or of is world.stored.requests:
                    assert (0 < len(chosen) < len(of)) == (value != "nobody"), (name, value)

"""Analytics over HTTP: Portkey's envelopes, with numbers that plain Python finds in the rows; faults told by name."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from math import sqrt
from statistics import mean, stdev
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from query_api.analytics import feedback_of_groups, request_days, requests_by_metadata
from query_api.analytics.day_keeper import DayKeeper
from query_api.analytics.request_days import DaysOfKey, KeyOfRequests
from query_api.analytics.t_distribution import reach_of_95_percent, two_sided_p
from stream_workers.rollup.rollups import compute, stale_hours
from tests.pipeline.query_api.analytics_data import START, Row, sums_of, total
from tests.pipeline.query_api.analytics_world import World, api_over

BERLIN = ZoneInfo("Europe/Berlin")
ALL_TIME = {"time_of_generation_min": "2025-10-20", "time_of_generation_max": "2025-11-10"}
NO_TIME = {"time_of_generation_min": "2025-09-29T00:00:00+02:00", "time_of_generation_max": "2025-10-01T22:30:00Z"}
GRAPHS = ("feedbacks", "feedbacks/weighted", "feedbacks/intervals", "feedbacks/scores", "feedbacks/ai-models")


def grouped(rows: list[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def by_sign(rows: list[Row]) -> dict[str, int]:
    values = [row["value"] for row in rows]
    return {
        "total": len(values), "positive": sum(value > 0 for value in values), "neutral": values.count(0),
        "negative": sum(value < 0 for value in values),
    }  # fmt: skip


def test_days_of_a_zone_count_the_feedback_of_23_24_or_25_hours(world: World) -> None:
    days = {
        "time_of_generation_min": "2025-10-25T00:00:00+02:00",
        "time_of_generation_max": "2025-10-28T00:00:00+01:00",
    }
    found = world.get("graphs/feedbacks", **days, bucket="day", time_zone="Europe/Berlin")
    counts = grouped(world.stored.feedback, lambda row: row["created_at"].astimezone(BERLIN).date())
    expected = [
        {"timestamp": f"2025-10-{day}T00:00:00+0{offset}:00", **by_sign(counts[datetime(2025, 10, day).date()])}
        for day, offset in ((25, 2), (26, 2), (27, 1))
    ]
    names = ("total", "positive", "neutral", "negative")
    assert found == {
        "object": "analytics-graph", "summary": {name: sum(point[name] for point in expected) for name in names},
        "data_points": expected, "read_from": "rollups", "bucket": "day", "time_zone": "Europe/Berlin",
    }  # fmt: skip
    assert all(point["total"] for point in expected)


def test_the_hours_of_a_day_on_which_clocks_go_back_are_25(world: World) -> None:
    day = {"time_of_generation_min": "2025-10-26T00:00:00+02:00", "time_of_generation_max": "2025-10-27T00:00:00+01:00"}
    points = world.get("graphs/feedbacks", **day, bucket="hour", time_zone="Europe/Berlin")["data_points"]
    since = datetime(2025, 10, 25, 22, tzinfo=UTC)
    counts = grouped(world.stored.feedback, lambda row: (row["created_at"] - since) // timedelta(hours=1))
    assert [point["total"] for point in points] == [len(counts[hour]) for hour in range(25)]
    assert [point["timestamp"][11:] for point in points[2:4]] == ["02:00:00+02:00", "02:00:00+01:00"]
    spring = {
        "time_of_generation_min": "2025-03-30T00:00:00+01:00",
        "time_of_generation_max": "2025-03-31T00:00:00+02:00",
    }
    assert len(world.get("graphs/feedbacks", **spring, time_zone="Europe/Berlin")["data_points"]) == 23


@pytest.mark.parametrize("read_from", ["rows", "rollups"])
def test_both_means_are_those_of_the_rows(world: World, read_from: str) -> None:
    found = world.get("graphs/feedbacks/weighted", **ALL_TIME, bucket="week", read_from=read_from)
    weeks = grouped(
        world.stored.feedback, lambda row: row["created_at"].date() - timedelta(days=row["created_at"].weekday())
    )
    expected = []
    for day in (20, 27, 34):
        date = (datetime(2025, 10, 1) + timedelta(days=day - 1)).date()
        sums = sums_of(weeks[date])
        point = {"timestamp": f"{date}T00:00:00Z", "avg": sums.avg, "weighted_mean": sums.weighted_mean, "n": sums.n}
        expected.append(point)
    assert found["data_points"] == expected
    assert expected[-1]["avg"] is None
    everything = world.stored.feedback
    weight = sum(row["weight"] for row in everything)
    assert found["summary"] == {
        "n": len(everything),
        "avg": pytest.approx(float(total(everything) / len(everything)), rel=1e-12),
        "weighted_mean": pytest.approx(float(total(everything) / weight), rel=1e-12),
    }
    assert found["read_from"] == read_from


@pytest.mark.parametrize("path", ["scores", "score"])
def test_every_value_that_was_given_is_counted(world: World, path: str) -> None:
    found = world.get(f"graphs/feedbacks/{path}", **ALL_TIME)
    counts = grouped(world.stored.feedback, lambda row: row["value"])
    assert found["summary"] == {"total": len(world.stored.feedback)}
    assert found["data_points"] == [{"score": value, "total": len(counts[value])} for value in sorted(counts)]


def test_feedback_counts_under_each_model_of_its_trace_and_without_one_under_none(world: World) -> None:
    found = world.get("graphs/feedbacks/ai-models", **ALL_TIME)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in world.stored.feedback:
        for model in row["models"] or [""]:
            groups[model].append(row)
    sums = {model: sums_of(rows) for model, rows in groups.items()}
    expected = [
        {
            "ai_model": model, "total": each.n, "avg_weighted_feedback": each.avg, "weighted_mean": each.weighted_mean
        }
        for model, each in sorted(sums.items(), key=lambda pair: (-pair[1].n, pair[0]))
    ]  # fmt: skip
    assert found == {
        "object": "analytics-graph", "summary": {}, "data_points": expected, "read_from": "rollups"
    }  # fmt: skip
    assert sums[""].n
    assert sum(each.n for each in sums.values()) > len(world.stored.feedback)


def test_without_feedback_every_bucket_is_there_with_nothing_in_it(world: World) -> None:
    points = world.get("graphs/feedbacks", **NO_TIME, bucket="day", time_zone="Europe/Berlin")
    assert points["summary"] == by_sign([])
    assert [point["total"] for point in points["data_points"]] == [0, 0, 0, 0]
    weighted = world.get("graphs/feedbacks/weighted", **NO_TIME, bucket="month")
    nothing = {"avg": None, "weighted_mean": None, "n": 0}
    assert weighted["summary"] == nothing
    assert weighted["data_points"] == [
        {"timestamp": "2025-09-01T00:00:00Z", **nothing}, {"timestamp": "2025-10-01T00:00:00Z", **nothing}
    ]  # fmt: skip
    for path in ("scores", "ai-models"):
        assert world.get(f"graphs/feedbacks/{path}", **NO_TIME)["data_points"] == []
    assert world.get("groups/metadata/tier", **NO_TIME) == {"object": "list", "total": 0, "data": []}
    comparison = world.get("comparison", **NO_TIME, baseline_prompt_slug="p1")
    assert comparison["current"]["avg"] is None
    assert set(comparison["difference"]["avg"].values()) == {None}


def test_one_feedback_is_its_own_mean(world: World) -> None:
    moments = grouped(world.stored.feedback, lambda row: row["created_at"])
    alone = (group[0] for group in moments.values() if len(group) == 1)
    row = next(row for row in alone if row["weight"] not in (0, 1) and row["value"])
    moment = {
        "time_of_generation_min": row["created_at"].isoformat(),
        "time_of_generation_max": (row["created_at"] + timedelta(milliseconds=1)).isoformat(),
    }
    mean_of_one = {"avg": float(row["value"] * row["weight"]), "weighted_mean": float(row["value"]), "n": 1}
    assert world.get("graphs/feedbacks/weighted", **moment)["summary"] == mean_of_one
    found = world.get("comparison", **ALL_TIME, **{f"baseline_{name}": text for name, text in moment.items()})
    assert found["baseline"]["avg"] == mean_of_one["avg"]
    assert found["baseline"]["avg_standard_error"] is None
    assert found["difference"]["avg"]["value"] is not None
    assert found["difference"]["avg"]["low"] is None


@pytest.mark.parametrize(
    "read",
    ["the traces of the page", "all traces for these of the page", "all traces", "days that are kept", "counted first"],
)
@pytest.mark.parametrize("key", ["_organisation", "tier"])
def test_requests_are_grouped_by_any_key_of_their_metadata(
    world: World, key: str, read: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_of_groups, "_ALL_TO_THESE", 10**9 if read == "all traces" else 0)
    if read == "counted first":

        async def few(*_: Any) -> bool:
            return True

        monkeypatch.setattr(requests_by_metadata, "_has_few_requests_each", few)
    if read == "all traces for these of the page":
        monkeypatch.setattr(feedback_of_groups, "MOST_LOOKED_UP", -1)
    if read == "days that are kept":
        value = f"r.{key}::String" if key == "_organisation" else "r.metadata_texts[{group_key:String}]"
        days = DaysOfKey(KeyOfRequests("default", key, value), date(2025, 10, 20), date(2025, 11, 10))
        world.runner.run(DayKeeper(world.reader).keep(days))
        kept = "SELECT count(), countIf(notEmpty(groups.value)) FROM feedback.request_day_sums WHERE key = {k:String}"
        assert world.client.query(kept, {"k": key}).result_rows == [(21, 4)]
    else:
        monkeypatch.setattr(request_days, "SETTLED", timedelta(days=10_000))
    expected = []
    for value, rows in grouped(world.stored.requests, lambda row: text_of(row, key)).items():
        traces = {row["trace_id"]: world.stored.feedback_of(row["trace_id"]) for row in rows}
        sums = sums_of([each for group in traces.values() for each in group])
        tokens = [row["total_tokens"] for row in rows if row["total_tokens"] is not None]
        expected.append(
            {
                "object": "analytics-group", "metadata_value": value, "requests": len(rows),
                "cost": sum(row["cost"] or 0 for row in rows), "avg_tokens": pytest.approx(mean(tokens)),
                "avg_weighted_feedback": sums.avg, "weighted_mean": sums.weighted_mean, "feedback_count": sums.n,
                "requests_with_feedback": sum(bool(traces[row["trace_id"]]) for row in rows),
                "last_seen": json_time(max(row["started_at"] for row in rows)),
            }
        )  # fmt: skip
    expected.sort(key=lambda group: (-group["requests"], group["metadata_value"]))
    assert world.get(f"groups/metadata/{key}", **ALL_TIME) == {
        "object": "list", "total": len(expected), "data": expected
    }  # fmt: skip
    pages = [
        world.get(f"groups/metadata/{key}", **ALL_TIME, page_size=2, current_page=page)
        for page in range(len(expected) // 2 + 2)
    ]
    assert [group for page in pages for group in page["data"]] == expected
    assert {page["total"] for page in pages} == {len(expected)}


@pytest.mark.parametrize("key", ["a/b", "a?b#c%", "ä\n"])
@pytest.mark.parametrize("what", ["metadata", "feedback-metadata"])
def test_a_key_of_metadata_may_hold_any_text(world: World, what: str, key: str) -> None:
    (group,) = world.get(f"groups/{what}/{quote(key, safe='')}", **ALL_TIME)["data"]
    assert group["metadata_value"] == ""


@pytest.mark.parametrize("key", ["_user", "tier"])
def test_feedback_is_grouped_by_any_key_of_its_metadata(world: World, key: str) -> None:
    expected = []
    for value, rows in grouped(world.stored.feedback, lambda row: text_of(row, key)).items():
        sums = sums_of(rows)
        expected.append(
            {
                "object": "analytics-group", "metadata_value": value, "feedback_count": sums.n,
                "avg_weighted_feedback": sums.avg, "weighted_mean": sums.weighted_mean,
                "last_seen": json_time(max(row["created_at"] for row in rows)),
            }
        )  # fmt: skip
    expected.sort(key=lambda group: (-group["feedback_count"], group["metadata_value"]))
    found = world.get(f"groups/feedback-metadata/{key}", **ALL_TIME)
    assert found == {"object": "list", "total": len(expected), "data": expected}


def test_two_prompts_are_compared_with_what_chance_allows_for(world: World) -> None:
    found = world.get("comparison", **ALL_TIME, prompt_slug="p1", baseline_prompt_slug="p2")
    products = [
        [float(row["value"] * row["weight"]) for row in world.stored.feedback if row["_prompt"] == prompt]
        for prompt in ("p1", "p2")
    ]
    errors = [stdev(side) / sqrt(len(side)) for side in products]
    for side, group, error in zip((found["current"], found["baseline"]), products, errors, strict=True):
        assert side["n"] == len(group)
        assert (side["avg"], side["avg_standard_error"]) == (pytest.approx(mean(group)), pytest.approx(error))
    difference = found["difference"]["avg"]
    error = sqrt(errors[0] ** 2 + errors[1] ** 2)
    degrees = error**4 / sum(each**4 / (len(group) - 1) for each, group in zip(errors, products, strict=True))
    value = mean(products[0]) - mean(products[1])
    reach = reach_of_95_percent(degrees) * error
    assert difference == pytest.approx(
        {
            "value": value, "standard_error": error, "degrees_of_freedom": degrees,
            "low": value - reach, "high": value + reach, "p_value": two_sided_p(value / error, degrees),
        }
    )  # fmt: skip


def with_errors(rows: list[Row]) -> dict[str, Any]:
    """What answers with errors say of some feedback, the long way."""
    products = [float(row["value"] * row["weight"]) for row in rows]
    pairs = [(float(row["weight"]), row["value"]) for row in rows if row["weight"]]
    weight, m, n = sum(w for w, _ in pairs), len(pairs), len(rows)
    centre = sum(w * v for w, v in pairs) / weight
    errors = {
        "avg": (mean(products), stdev(products) / sqrt(n), n),
        "weighted_mean": (centre, sqrt(m / (m - 1) * sum((w * (v - centre)) ** 2 for w, v in pairs)) / weight, m),
    }
    told: dict[str, Any] = {"n": n, "n_with_weight": m}
    for name, (middle, error, size) in errors.items():
        reach = reach_of_95_percent(size - 1) * error
        told |= {name: middle, f"{name}_standard_error": error, f"{name}_low": middle - reach}
        told |= {f"{name}_high": middle + reach}
    return told


def test_every_bucket_has_the_interval_of_its_own_feedback(world: World) -> None:
    days = {**ALL_TIME, "bucket": "week", "time_zone": "Europe/Berlin"}
    found = world.get("graphs/feedbacks/intervals", **days)
    weeks = grouped(world.stored.feedback, lambda row: row["created_at"].astimezone(BERLIN).isocalendar().week)
    assert [point["n"] for point in found["data_points"]] == [len(weeks[week]) for week in (43, 44, 45, 46)]
    for point, week in zip(found["data_points"], (43, 44), strict=False):
        assert {name: point[name] for name in point if name != "timestamp"} == pytest.approx(with_errors(weeks[week]))
    assert found["data_points"][2]["avg_low"] is None
    assert found["summary"] == pytest.approx(with_errors(world.stored.feedback))
    assert (found["read_from"], found["time_zone"]) == ("rollups", "Europe/Berlin")


FIELDS = {
    "ai_model": lambda world, row: row["models"] or [""],
    "ai_org": lambda world, row: row["providers"] or [""],
    "prompt_slug": lambda world, row: [row["_prompt"]],
    "organisation": lambda world, row: [row["_organisation"]],
    "environment": lambda world, row: [row["_environment"]],
    "metadata._user": lambda world, row: [row["_user"]],
    "metadata.tier": lambda world, row: [text_of(row, "tier")] if "tier" in row["metadata"] else sorted(
        {text_of(each, "tier") for each in world.stored.requests_of(row["trace_id"]) if "tier" in each["metadata"]}
    ) or [""],
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_each_group_of_feedback_is_what_the_filter_by_its_value_finds(world: World, field: str) -> None:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in world.stored.feedback:
        for value in FIELDS[field](world, row):
            groups[value].append(row)
    found = world.get("groups/feedback", **ALL_TIME, by=field)
    assert [group["value"] for group in found["data"]] == sorted(groups, key=lambda value: (-len(groups[value]), value))
    for group in found["data"]:
        rows = groups[group["value"]]
        signs = by_sign(rows)
        del signs["total"]
        last = {"last_seen": json_time(max(row["created_at"] for row in rows))}
        numbers = {name: group[name] for name in group if name not in ("value", "object", "last_seen")}
        assert numbers == pytest.approx({**signs, **with_errors(rows)})
        assert group["last_seen"] == last["last_seen"]
        if group["value"]:
            key = field.removeprefix("metadata.")
            asked = {field: group["value"]} if key == field else {"metadata": json.dumps({key: group["value"]})}
            assert world.get("graphs/feedbacks", **ALL_TIME, **asked)["summary"] == by_sign(rows)


def test_groups_of_feedback_come_in_the_order_asked_for_and_in_pages(world: World) -> None:
    for order, falls in (("weighted_mean", True), ("avg", False), ("last_seen", True), ("value", False)):
        direction = "desc" if falls else "asc"
        asked = {**ALL_TIME, "by": "metadata.tier", "order_by": order, "order_by_type": direction}
        found = world.get("groups/feedback", **asked)
        told = [group[order] for group in found["data"]]
        assert told == sorted(told, reverse=falls)
        pages = [world.get("groups/feedback", **asked, page_size=4, current_page=page) for page in range(3)]
        assert [group for page in pages for group in page["data"]] == found["data"]
        assert {page["total"] for page in pages} == {len(told)}
    only = world.get("groups/feedback", **ALL_TIME, by="ai_model", ai_model="m1")
    assert [group["value"] for group in only["data"]] == ["m1"]


def test_two_periods_are_compared_and_weights_weigh(world: World) -> None:
    middle = START + timedelta(days=2)
    found = world.get(
        "comparison",
        time_of_generation_min=middle.isoformat(),
        time_of_generation_max="2025-11-10",
        baseline_time_of_generation_min="2025-10-20",
        baseline_time_of_generation_max=middle.isoformat(),
    )
    for side, later in ((found["current"], True), (found["baseline"], False)):
        rows = [row for row in world.stored.feedback if (row["created_at"] >= middle) == later]
        pairs = [(float(row["weight"]), row["value"]) for row in rows if row["weight"]]
        weight = sum(w for w, _ in pairs)
        centre = sum(w * v for w, v in pairs) / weight
        m = len(pairs)
        error = sqrt(m / (m - 1) * sum((w * (v - centre)) ** 2 for w, v in pairs)) / weight
        assert (side["n"], side["n_with_weight"]) == (len(rows), m)
        assert side["weighted_mean"] == pytest.approx(centre)
        assert side["weighted_mean_standard_error"] == pytest.approx(error)


@pytest.mark.parametrize(
    ("path", "parameters", "status", "param"),
    [
        *((f"graphs/{graph}", {}, 400, "time_of_generation_min") for graph in GRAPHS),
        *((f"graphs/{graph}", {**ALL_TIME, "workspace_slug": "other"}, 403, "workspace_slug") for graph in GRAPHS),
        ("graphs/feedbacks", {**ALL_TIME, "bucket": "year"}, 400, "bucket"),
        ("graphs/feedbacks", {**ALL_TIME, "time_zone": "Mars"}, 400, "time_zone"),
        ("graphs/feedbacks", {**ALL_TIME, "read_from": "memory"}, 400, "read_from"),
        ("graphs/feedbacks/scores", {**ALL_TIME, "bucket": "day"}, 400, "bucket"),
        ("groups/metadata/tier", {**ALL_TIME, "page_size": "0"}, 400, "page_size"),
        ("groups/metadata/tier", {**ALL_TIME, "current_page": "-1"}, 400, "current_page"),
        ("groups/feedback-metadata/tier", {**ALL_TIME, "cost_min": "x"}, 400, "cost_min"),
        ("groups/feedback", ALL_TIME, 400, "by"),
        ("groups/feedback", {**ALL_TIME, "by": "metadata."}, 400, "by"),
        ("groups/feedback", {**ALL_TIME, "by": "user", "order_by": "n; DROP"}, 400, "order_by"),
        ("groups/feedback", {**ALL_TIME, "by": "user", "order_by_type": "up"}, 400, "order_by_type"),
        ("groups/feedback", {**ALL_TIME, "by": "user", "workspace_slug": "other"}, 403, "workspace_slug"),
        ("comparison", ALL_TIME, 400, "baseline_time_of_generation_min"),
        ("comparison", {**ALL_TIME, "baseline_cost_min": "x"}, 400, "baseline_cost_min"),
        ("comparison", {**ALL_TIME, "baseline_workspace_slug": "other"}, 403, "baseline_workspace_slug"),
    ],
)
def test_a_fault_is_answered_in_the_one_error_body(
    world: World, path: str, parameters: dict[str, str], status: int, param: str
) -> None:
    reply = world.ask(path, **parameters)
    assert reply.status_code == status
    body = reply.json()
    assert body["error"]["param"] == param
    assert body["message"] == body["data"]["message"] == body["error"]["message"]
    assert param.removeprefix("baseline_").split("_")[0] in body["message"]


def test_clickhouse_away_is_told_as_such(world: World) -> None:
    nowhere = api_over("http://127.0.0.1:9")
    for path in ("graphs/feedbacks", "groups/metadata/tier", "groups/feedback-metadata/tier"):
        reply = world.ask(path, nowhere, **ALL_TIME)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert "ClickHouse" in reply.json()["message"]


def test_the_openapi_document_tells_parameters_and_answers(world: World) -> None:
    paths = world.runner.run(world.api.get("/openapi.json")).json()["paths"]
    for path in (
        "graphs/feedbacks",
        "graphs/feedbacks/scores",
        "groups/metadata/{key}",
        "groups/feedback",
        "comparison",
    ):
        operation = paths[f"/v1/analytics/{path}"]["get"]
        named = [each["name"] for each in operation["parameters"]]
        assert {"time_of_generation_min", "metadata", "ai_org_model"} <= set(named)
        assert len(named) == len(set(named))
        assert "$ref" in operation["responses"]["200"]["content"]["application/json"]["schema"]


def text_of(row: Row, key: str) -> str:
    value = row[key] if key in row else row["metadata"].get(key, "")
    return value if isinstance(value, str) else str(value).lower()


def json_time(at: datetime) -> str:
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    return at.isoformat().replace("+00:00", "Z")


NOT_COMPUTED_YET = """
ALTER TABLE feedback.rollup_rows UPDATE weighted_count = 0, squared_weight_sum = 0, value_squared_weight_sum = 0,
    squared_value_weight_sum = 0, last_seen = toDateTime64(0, 3, 'UTC') WHERE 1 SETTINGS mutations_sync = 2
"""


def test_until_rollups_of_before_are_computed_anew_rows_tell_what_they_cannot(world: World) -> None:
    questions = [
        ("comparison", {"prompt_slug": "p1", "baseline_prompt_slug": "p2"}),
        ("groups/feedback", {"by": "environment"}),
        ("groups/feedback-metadata/_user", {}),
        ("graphs/feedbacks/intervals", {"bucket": "day"}),
    ]

    def answers(**also: str) -> list[dict[str, Any]]:
        found = [world.get(path, **ALL_TIME, **more, **also) for path, more in questions]
        return [{name: answer[name] for name in answer if name != "read_from"} for answer in found]

    def read_from() -> str:
        return str(world.get("graphs/feedbacks/intervals", **ALL_TIME, bucket="day")["read_from"])

    before = answers()
    assert answers(read_from="rows") == before
    world.client.command(NOT_COMPUTED_YET)
    assert (read_from(), answers()) == ("rows", before)
    stale = world.runner.run(stale_hours(world.asynchronous))
    world.runner.run(compute(world.asynchronous, stale[:3]))
    assert (read_from(), answers()) == ("rows", before)
    world.runner.run(compute(world.asynchronous, stale))
    assert world.runner.run(stale_hours(world.asynchronous)) == []
    assert (read_from(), answers()) == ("rollups", before)


def test_models_of_a_prompt_in_less_than_a_whole_hour_are_told_by_rows(world: World) -> None:
    hour = min(row["created_at"] for row in world.stored.feedback).replace(minute=0, second=0, microsecond=0)
    part = {
        "time_of_generation_min": json_time(hour),
        "time_of_generation_max": json_time(hour + timedelta(minutes=59)),
    }
    questions: list[tuple[str, dict[str, str]]] = [
        ("graphs/feedbacks/ai-models", {"prompt_slug": "p1"}),
        ("graphs/feedbacks/weighted", {"prompt_slug": "p1", "ai_model": "m1"}),
        ("groups/feedback", {"by": "ai_model", "prompt_slug": "p1"}),
        ("comparison", {"ai_model": "m1", "prompt_slug": "p1", "baseline_prompt_slug": "p2"}),
    ]
    for path, more in questions:
        assert world.get(path, **part, **more) == world.get(path, **part, **more, read_from="rows")


@pytest.mark.parametrize("missing", ["true", "period = 'day'", "JSONExtractString(key, 1) = 'p1'"])
def test_until_prompts_are_rolled_up_by_model_rows_tell_their_models(world: World, missing: str) -> None:
    questions: list[tuple[str, dict[str, str]]] = [
        ("graphs/feedbacks/ai-models", {"prompt_slug": "p1"}),
        ("graphs/feedbacks/weighted", {"prompt_slug": "p1", "ai_model": "m1", "bucket": "day"}),
        ("graphs/feedbacks/intervals", {"prompt_slug": "p1", "ai_model": "m1", "bucket": "day"}),
        ("groups/feedback", {"by": "ai_model", "prompt_slug": "p1"}),
        ("groups/feedback", {"by": "prompt_slug", "ai_model": "m1"}),
    ]

    def answers(**also: str) -> list[dict[str, Any]]:
        return [world.get(path, **ALL_TIME, **more, **also) for path, more in questions]

    def read_from() -> set[str]:
        return {answer.pop("read_from", "") for answer in found}

    found = before = answers()
    assert read_from() == {"rollups", ""}
    found = answers(read_from="rows")
    assert (read_from(), found) == ({"rows", ""}, before)
    world.client.command(
        f"ALTER TABLE feedback.rollup_rows DELETE WHERE dimension = 'prompt_model' AND {missing}"
        " SETTINGS mutations_sync = 2"
    )
    found = answers()
    assert (read_from(), found) == ({"rows", ""}, before)
    world.runner.run(compute(world.asynchronous, world.runner.run(stale_hours(world.asynchronous))))
    found = answers()
    assert (read_from(), found) == ({"rollups", ""}, before)

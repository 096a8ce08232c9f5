"""Requests over HTTP: Portkey's envelopes, with numbers that plain Python finds in the rows; faults told by name."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from query_api.analytics.request_groups import STANDARD
from query_api.analytics.request_measures import (
    COST,
    ERROR_RATE,
    ERRORS,
    LATENCY,
    REQUESTS,
    TOKENS,
    USER_REQUESTS,
    USERS,
    Measure,
)
from tests.pipeline.query_api.analytics_data import Row
from tests.pipeline.query_api.analytics_world import World, api_over
from tests.pipeline.query_api.test_analytics_http import ALL_TIME, NO_TIME
from tests.pipeline.query_api.test_request_analytics import EXPECTED, is_error, numbers_of

GRAPHS: dict[str, Measure[Any]] = {
    "requests": REQUESTS, "cost": COST, "latency": LATENCY, "tokens": TOKENS, "users": USERS,
    "users/requests": USER_REQUESTS, "users-requests": USER_REQUESTS, "errors": ERRORS,
    "errors/rate": ERROR_RATE, "errors-rate": ERROR_RATE,
}  # fmt: skip
GROUPS = {
    "users": ("user", "_user"), "ai-models": ("ai_model", "model"), "model": ("model", "model"),
    "provider": ("provider", "provider"), "ai_service": ("ai_service", "provider"), "prompt": ("prompt", "_prompt"),
    "status_code": ("status_code", "status"), "workspaces": ("workspace", "workspace"),
    "workspace": ("workspace", "workspace"),
}  # fmt: skip


def days_of(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by the start of their day, for all days of ALL_TIME."""
    since = datetime(2025, 10, 20, tzinfo=UTC)
    found: dict[str, list[Row]] = {f"{since + timedelta(days=day):%FT00:00:00Z}": [] for day in range(21)}
    for row in rows:
        found[f"{row['started_at']:%FT00:00:00Z}"].append(row)
    return found


@pytest.mark.parametrize("path", GRAPHS)
def test_a_graph_is_the_measure_in_portkeys_envelope(world: World, path: str) -> None:
    expected = next(numbers for measure, numbers in EXPECTED if measure is GRAPHS[path])
    assert world.get(f"graphs/{path}", **ALL_TIME, bucket="day") == {
        "object": "analytics-graph",
        "summary": expected(world.stored.requests),
        "data_points": [{"timestamp": day, **expected(rows)} for day, rows in days_of(world.stored.requests).items()],
        "bucket": "day",
        "time_zone": "UTC",
    }
    nothing = world.get(f"graphs/{path}", **NO_TIME, bucket="month", time_zone="Europe/Berlin")
    assert nothing["summary"] == expected([])
    assert [point["timestamp"] for point in nothing["data_points"]] == [
        "2025-09-01T00:00:00+02:00", "2025-10-01T00:00:00+02:00"
    ]  # fmt: skip


def test_the_overview_has_the_numbers_of_each_graph(world: World) -> None:
    parts = {"requests": "errors/rate", "latency": "latency", "tokens": "tokens", "cost": "cost"}
    for when in (ALL_TIME, NO_TIME, {**ALL_TIME, "ai_model": "gpt-4o"}):
        asked = {**when, "bucket": "day"}
        each = {part: world.get(f"graphs/{path}", **asked) for part, path in parts.items()}
        found = world.get("graphs/requests/overview", **asked)
        assert found["summary"] == {part: graph["summary"] for part, graph in each.items()}
        for n, point in enumerate(found["data_points"]):
            at = point["timestamp"]
            assert {part: {"timestamp": at, **point[part]} for part in parts} == {
                part: graph["data_points"][n] for part, graph in each.items()
            }


@pytest.mark.parametrize("path", ["errors/stacks", "errors-stack"])
def test_errors_are_told_by_status_and_bucket(world: World, path: str) -> None:
    found = world.get(f"graphs/{path}", **ALL_TIME)
    errors = [row for row in world.stored.requests if is_error(row)]
    assert found["summary"] == {"total": len(errors)}
    expected = [
        {
            "timestamp": day,
            "stats": [
                {"response_status_code": status, "count": count}
                for status, count in sorted(Counter(row["status"] for row in rows).items())
            ],
        }
        for day, rows in days_of(errors).items()
    ]
    assert found["data_points"] == expected
    assert max(len(point["stats"]) for point in expected) == 3


@pytest.mark.parametrize("path", ["errors/status-codes", "errors-status-code"])
def test_errors_are_told_by_status_the_most_frequent_first(world: World, path: str) -> None:
    counts = Counter(row["status"] for row in world.stored.requests if is_error(row))
    assert world.get(f"graphs/{path}", **ALL_TIME) == {
        "object": "analytics-graph",
        "summary": {"total_errors": counts.total(), "unique_error_codes": len(counts)},
        "data_points": [
            {"status_code": status, "count": count}
            for status, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
        ],
    }
    only = world.get(f"graphs/{path}", **ALL_TIME, status_code="200,500")
    assert only["data_points"] == [{"status_code": 500, "count": counts[500]}]


@pytest.mark.parametrize("path", GROUPS)
def test_groups_have_their_value_and_the_numbers_asked_for(world: World, path: str) -> None:
    name, column = GROUPS[path]
    groups: dict[Any, list[Row]] = defaultdict(list)
    for row in world.stored.requests:
        groups[row[column]].append(row)
    numbers = {value: as_json(numbers_of(rows)) for value, rows in groups.items()}
    by_size = sorted(groups, key=lambda value: (-len(groups[value]), value))
    assert world.get(f"groups/{path}", **ALL_TIME) == {
        "object": "list", "total": len(groups),
        "data": [
            {name: value, **{each: numbers[value][each] for each in STANDARD}, "object": "analytics-group"}
            for value in by_size
        ],
    }  # fmt: skip
    two = {"columns": "cost, p90_latency", "order_by": "p99_latency", "order_by_type": "asc", "include_total": "true"}
    found = world.get(f"groups/{path}", **ALL_TIME, **two, page_size=1, current_page=len(groups) - 1)
    last = max(groups, key=lambda value: (numbers[value]["p99_latency"], value))
    expected = {name: last, **{each: numbers[last][each] for each in ("cost", "p90_latency")}}
    assert found == {"object": "list", "total": len(groups), "data": [{**expected, "object": "analytics-group"}]}
    assert world.get(f"groups/{path}", **ALL_TIME, page_size=5, current_page=9) == {
        "object": "list", "total": len(groups), "data": []
    }  # fmt: skip
    assert world.get(f"groups/{path}", **NO_TIME) == {"object": "list", "total": 0, "data": []}


@pytest.mark.parametrize(
    ("path", "parameters", "status", "param"),
    [
        ("graphs/cost", {}, 400, "time_of_generation_min"),
        ("graphs/cost", {**ALL_TIME, "workspace_slug": "other"}, 403, "workspace_slug"),
        ("graphs/latency", {**ALL_TIME, "bucket": "year"}, 400, "bucket"),
        ("graphs/users", {**ALL_TIME, "time_zone": "Mars"}, 400, "time_zone"),
        ("graphs/tokens", {**ALL_TIME, "cache_status": "hit"}, 400, "cache_status"),
        ("graphs/errors/stacks", {**ALL_TIME, "cost_min": "x"}, 400, "cost_min"),
        ("graphs/errors/status-codes", {**ALL_TIME, "bucket": "day"}, 400, "bucket"),
        ("groups/users", {**ALL_TIME, "columns": "cost,cache_hit_rate"}, 400, "columns"),
        ("groups/users", {**ALL_TIME, "columns": ""}, 400, "columns"),
        ("groups/ai-models", {**ALL_TIME, "order_by": "value"}, 400, "order_by"),
        ("groups/ai-models", {**ALL_TIME, "order_by_type": "up"}, 400, "order_by_type"),
        ("groups/prompt", {**ALL_TIME, "include_total": "yes"}, 400, "include_total"),
        ("groups/prompt", {**ALL_TIME, "page_size": "0"}, 400, "page_size"),
        ("groups/prompt", {**ALL_TIME, "bucket": "day"}, 400, "bucket"),
        ("groups/status_code", {**ALL_TIME, "workspace_slug": "other"}, 403, "workspace_slug"),
    ],
)
def test_a_fault_is_answered_in_the_one_error_body(
    world: World, path: str, parameters: dict[str, str], status: int, param: str
) -> None:
    reply = world.ask(path, **parameters)
    body = reply.json()
    assert (reply.status_code, body["error"]["param"]) == (status, param)
    assert body["message"] == body["data"]["message"] == body["error"]["message"]
    assert param.split("_")[0] in body["message"]


def test_clickhouse_away_is_told_as_such(world: World) -> None:
    nowhere = api_over("http://127.0.0.1:9")
    for path in ("graphs/latency", "graphs/errors/stacks", "graphs/errors/status-codes", "groups/users"):
        reply = world.ask(path, nowhere, **ALL_TIME)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
        assert "ClickHouse" in reply.json()["message"]


def as_json(numbers: Row) -> Row:
    """Times as JSON has them."""
    return {
        name: number.isoformat().replace("+00:00", "Z") if isinstance(number, datetime) else number
        for name, number in numbers.items()
    }

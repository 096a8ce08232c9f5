"""Portkey's Python SDK reads analytics of what it has given and logged itself."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

if TYPE_CHECKING:
    from portkey_ai import Portkey


@pytest.fixture(scope="module")
def portkey(pipeline: Pipeline) -> "Portkey":
    from portkey_ai import Portkey

    return Portkey(api_key="any", base_url=f"{pipeline.url}/v1")


@pytest.fixture(scope="module")
def rated(pipeline: Pipeline, portkey: "Portkey") -> dict[str, Any]:
    """The parameters that find three feedbacks, two of them on a trace with a request."""
    prompt = f"prompt-{datetime.now(UTC).timestamp()}"
    trace, specials = f"trace-{prompt}", {"_prompt": prompt}
    portkey.logs.create(
        request={"url": "https://provider.example/v1", "provider": "openai", "body": {"model": "m-1"}},
        response={"status": 200, "body": {"usage": {"total_tokens": 10}}},
        metadata={"traceId": trace, **specials},
    )
    for trace_id, value, weight in ((trace, 10, 0.5), (trace, -2, 1), (f"{trace}-without", 4, 0.25)):
        portkey.feedback.create(trace_id=trace_id, value=value, weight=weight, metadata=specials)
    query = "SELECT countIf(join_state = 'joined'), count() FROM feedback.feedback WHERE _prompt = {p:String}"
    until(lambda: pipeline.sql_client.query(query, {"p": prompt}).result_rows == [(2, 3)], "all is stored and joined")
    now = datetime.now(UTC)
    return {
        "time_of_generation_min": (now - timedelta(hours=2)).isoformat(),
        "time_of_generation_max": (now + timedelta(minutes=1)).isoformat(),
        "prompt_slug": prompt,
    }


def test_graphs_of_feedback_are_read(portkey: "Portkey", rated: dict[str, Any]) -> None:
    graphs = portkey.analytics.graphs
    for graph, summary in (
        (graphs.feedbacks(**rated), {"total": 3, "positive": 2, "neutral": 0, "negative": 1}),
        (graphs.feedbacks_scores(**rated), {"total": 3}),
        (graphs.feedbacks_weighted(**rated), {"avg": 4 / 3, "weighted_mean": 4 / 1.75, "n": 3}),
        (graphs.feedbacks_ai_models(**rated), {}),
    ):
        assert graph.object == "analytics-graph"
        assert graph["summary"] == pytest.approx(summary)
    points = graphs.feedbacks(**rated)["data_points"]
    assert sum(point["total"] for point in points) == 3
    assert graphs.feedbacks_scores(**rated)["data_points"] == [
        {"score": -2, "total": 1}, {"score": 4, "total": 1}, {"score": 10, "total": 1},
    ]  # fmt: skip
    models = {point["ai_model"]: point for point in graphs.feedbacks_ai_models(**rated)["data_points"]}
    assert {model: (point["total"], point["avg_weighted_feedback"]) for model, point in models.items()} == {
        "m-1": (2, 1.5), "": (1, 1.0),
    }  # fmt: skip


def test_groups_by_metadata_are_read(portkey: "Portkey", rated: dict[str, Any]) -> None:
    groups = portkey.analytics.groups.metadata(metadata_key="_prompt", **rated, page_size=5, current_page=0)
    assert (groups.object, groups.total) == ("list", 1)
    (group,) = groups.data or []
    assert (group["metadata_value"], group["requests"], group["requests_with_feedback"]) == (
        rated["prompt_slug"],
        1,
        1,
    )
    assert (group["avg_tokens"], group["avg_weighted_feedback"], group["object"]) == (10, 1.5, "analytics-group")


@pytest.fixture(scope="module")
def served(pipeline: Pipeline, portkey: "Portkey") -> dict[str, Any]:
    """The parameters that find four requests of two users, one of which failed."""
    prompt = f"served-{datetime.now(UTC).timestamp()}"
    for user, status, took in (("ann", 200, 100), ("ann", 429, 20.5), ("ann", 200, 300), ("bob", 200, 200)):
        portkey.logs.create(
            request={"url": "https://provider.example/v1", "provider": "openai", "body": {"model": f"for-{user}"}},
            response={
                "status": status,
                "response_time": took,
                "body": {"usage": {"prompt_tokens": 7, "completion_tokens": 3}},
            },
            metadata={"_prompt": prompt, "_user": user},
        )
    query = "SELECT count() FROM feedback.request_logs WHERE _prompt = {p:String}"
    until(lambda: pipeline.sql_client.query(query, {"p": prompt}).result_rows == [(4,)], "all are stored")
    now = datetime.now(UTC)
    return {
        "time_of_generation_min": (now - timedelta(hours=2)).isoformat(),
        "time_of_generation_max": (now + timedelta(minutes=1)).isoformat(),
        "prompt_slug": prompt,
    }


def test_graphs_of_requests_are_read(portkey: "Portkey", served: dict[str, Any]) -> None:
    from portkey_ai.api_resources.exceptions import NotFoundError

    graphs = portkey.analytics.graphs
    token_means = {"avg": 10, "avg_input": 7, "avg_output": 3}
    for graph, summary in (
        (graphs.requests(**served), {"total": 4}),
        (graphs.cost(**served), {"total": 0, "avg": None, "n": 0}),
        (graphs.latency(**served), {"avg": 155.125, "p50": 200, "p90": 300, "p95": 300, "p99": 300, "n": 4}),
        (graphs.tokens(**served), {"total": 40, "input": 28, "output": 12, "n": 4, **token_means}),
        (graphs.users(**served), {"total": 2}),
        (graphs.users_requests(**served), {"total": 4, "unique": 2, "avg": 2}),
        (graphs.errors(**served), {"total": 1}),
        (graphs.errors_rate(**served), {"rate": 25, "success": 75, "errors": 1, "requests": 4}),
        (graphs.errors_stacks(**served), {"total": 1}),
        (graphs.errors_status_codes(**served), {"total_errors": 1, "unique_error_codes": 1}),
    ):
        assert graph.object == "analytics-graph"
        assert graph["summary"] == summary
    assert sum(point["total"] for point in graphs.requests(**served)["data_points"]) == 4
    stats = [stat for point in graphs.errors_stacks(**served)["data_points"] for stat in point["stats"]]
    assert stats == [{"response_status_code": 429, "count": 1}]
    assert graphs.errors_status_codes(**served)["data_points"] == [{"status_code": 429, "count": 1}]
    with pytest.raises(NotFoundError):
        graphs.cache_hit_rate(**served)


def test_groups_of_requests_are_read(portkey: "Portkey", served: dict[str, Any]) -> None:
    groups = portkey.analytics.groups
    users = groups.users(**served, page_size=1, current_page=0)
    assert (users.object, users.total) == ("list", 2)
    (ann,) = users.data or []
    assert (ann["user"], ann["requests"], ann["cost"], ann["object"]) == ("ann", 3, 0, "analytics-group")
    assert [group["ai_model"] for group in groups.ai_models(**served).data or []] == ["for-ann", "for-bob"]
    (workspace,) = groups.workspaces(**served).data or []
    assert (workspace["workspace"], workspace["error_count"], workspace["success_rate"]) == ("default", 1, 75)
    statuses = groups.group_by(
        group_by="status_code", **served, columns="requests,p95_latency", include_total=True, order_by="p95_latency"
    )
    assert statuses.data == [
        {"status_code": 200, "requests": 3, "p95_latency": 300, "object": "analytics-group"},
        {"status_code": 429, "requests": 1, "p95_latency": 20.5, "object": "analytics-group"},
    ]
    for named in ("model", "provider", "ai_service", "prompt", "workspace"):
        found = groups.group_by(group_by=named, **served)
        assert sum(group["requests"] for group in found.data or []) == 4
        assert named in (found.data or [{}])[0]


def test_a_faulty_filter_is_a_typed_error_that_names_it(portkey: "Portkey", rated: dict[str, Any]) -> None:
    from portkey_ai.api_resources.exceptions import BadRequestError

    with pytest.raises(BadRequestError) as refused:
        portkey.analytics.graphs.feedbacks(**rated, metadata="{")
    assert refused.value.message == 'Error code: 400 - metadata must be the JSON of an object, got "{"'

"""Portkey's Node SDK, unmodified, by base URL alone. Installed from its lock file."""

import json
import select
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from tests.contract.conftest import PACKAGE, RowOf
from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

Outcome = dict[str, Any]
Call = Callable[..., Outcome]


@pytest.fixture(scope="session")
def node(node_folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A running script with the SDK that makes the calls it is told."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(["node", "call.mjs"], cwd=node_folder, text=True, bufsize=1, **pipes) as script:  # type: ignore[call-overload]
        yield script
        script.kill()


@pytest.fixture
def call(node: subprocess.Popen[str], pipeline: Pipeline) -> Call:
    """Call a method of a client that is pointed here; what it answers, or the error it throws."""

    def called(method: str, *arguments: Any, **options: Any) -> Outcome:
        assert node.stdin
        assert node.stdout
        client = {"baseURL": f"{pipeline.url}/v1", "apiKey": "any", **options}
        print(json.dumps({"options": client, "method": method, "arguments": arguments}), file=node.stdin)
        assert select.select([node.stdout], [], [], 60)[0], f"no answer to {method}"
        outcome: Outcome = json.loads(node.stdout.readline())
        return outcome

    return called


def test_create_stores_what_was_sent(call: Call, stored: RowOf, trace: str) -> None:
    metadata = {"_user": "fef653", "text": "title was irrelevant", "nested": {"list": [1, None]}}
    answer = call("feedback.create", {"traceID": trace, "value": -7, "weight": 0.5, "metadata": metadata})["answer"]
    assert (answer["status"], answer["message"]) == ("success", "Feedback successfully saved")
    (feedback_id,) = answer["feedback_ids"]
    row = stored(feedback_id)
    assert (row["trace_id"], row["value"], row["weight"], row["_user"]) == (trace, -7, Decimal("0.5"), "fef653")
    assert json.loads(row["metadata"]) == metadata


@pytest.mark.parametrize(
    ("sent", "value", "weight", "metadata"),
    [
        pytest.param({"value": "7", "weight": "0.25"}, 7, "0.25", {}, id="numeric strings"),
        pytest.param({"value": 1, "weight": None, "metadata": None}, 1, "1", {}, id="null"),
        pytest.param({"value": 0, "metadata": '{"_user":"u","n":1}'}, 0, "1", {"_user": "u", "n": 1}, id="JSON string"),
    ],
)
def test_every_shape_of_a_field_is_stored_as_what_it_says(
    call: Call, stored: RowOf, trace: str, sent: dict[str, Any], value: int, weight: str, metadata: dict[str, Any]
) -> None:
    row = stored(call("feedback.create", {"traceID": trace, **sent})["answer"]["feedback_ids"][0])
    assert (row["trace_id"], row["value"], row["weight"]) == (trace, value, Decimal(weight))
    assert json.loads(row["metadata"]) == metadata


def test_create_with_a_list_answers_ids_in_order(call: Call, stored: RowOf, trace: str) -> None:
    # More than ten, because the SDK turns the list into an object whose keys do not sort as text.
    names = ("traceID", "trace_id", "traceId")
    sent = [{names[n % 3]: f"{trace}-{n}", "value": n - 6} for n in range(12)]
    rows = [stored(feedback_id) for feedback_id in call("feedback.create", sent)["answer"]["feedback_ids"]]
    assert [row["trace_id"] for row in rows] == [f"{trace}-{n}" for n in range(12)]
    assert [row["value"] for row in rows] == list(range(-6, 6))


def test_update_changes_what_it_names_and_keeps_the_rest(
    pipeline: Pipeline, call: Call, stored: RowOf, trace: str
) -> None:
    sent = {"traceID": trace, "value": 5, "weight": 0.25, "metadata": {"_user": "fef653"}}
    (feedback_id,) = call("feedback.create", sent)["answer"]["feedback_ids"]
    answer = call("feedback.update", {"feedbackID": feedback_id, "value": 3})["answer"]
    assert (answer["message"], answer["feedback_ids"]) == ("Feedback successfully updated", [feedback_id])
    until(lambda: pipeline.stored(feedback_id).get("value") == 3, "the update is stored")
    row = stored(feedback_id)
    assert (row["weight"], json.loads(row["metadata"])) == (Decimal("0.25"), {"_user": "fef653"})


def test_update_with_its_id_misspelt_is_a_typed_error_that_says_how_it_is_spelt(call: Call, trace: str) -> None:
    (feedback_id,) = call("feedback.create", {"traceID": trace, "value": 5})["answer"]["feedback_ids"]
    error = call("feedback.update", {"feedbackId": feedback_id, "value": 3})["error"]
    assert (error["type"], error["status"]) == ("NotFoundError", 404)
    assert "its parameter is `feedbackID`, with a capital ID" in error["message"]


@pytest.mark.parametrize("given", [{}, {"feedbackID": None}, {"feedbackID": "null"}, {"feedbackID": "NOT_GIVEN"}])
def test_update_without_an_id_is_not_found(call: Call, given: dict[str, Any]) -> None:
    error = call("feedback.update", {"value": 3, **given})["error"]
    assert (error["type"], error["status"]) == ("NotFoundError", 404)
    assert error["message"].startswith("there is no feedback with the id ")


def test_update_that_changes_nothing_is_a_typed_error(call: Call, trace: str) -> None:
    (feedback_id,) = call("feedback.create", {"traceID": trace, "value": 5})["answer"]["feedback_ids"]
    error = call("feedback.update", {"feedbackID": feedback_id})["error"]
    assert (error["type"], error["status"]) == ("BadRequestError", 400)
    assert error["message"] == "nothing to change: send at least one of value, weight and metadata"


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"value": 12}, "value must be an integer from -10 to 10, got 12"),
        ({"value": 1, "weight": -0.1}, "weight must be a number from 0 to 1, got -0.1"),
        ({"traceID": None, "value": 1}, "trace_id is required"),
        ({}, "value is required"),
    ],
)
def test_a_refused_create_is_a_typed_error_that_names_the_field(
    call: Call, trace: str, sent: dict[str, Any], message: str
) -> None:
    error = call("feedback.create", {"traceID": trace, **sent})["error"]
    assert (error["type"], error["status"], error["message"]) == ("BadRequestError", 400, message)


def test_a_list_with_one_fault_names_its_item(call: Call, trace: str) -> None:
    error = call("feedback.create", [{"traceID": trace, "value": 1}, {"traceID": trace, "value": 99}])["error"]
    assert (error["type"], error["message"]) == (
        "BadRequestError",
        "item 1: value must be an integer from -10 to 10, got 99",
    )


def test_a_client_without_a_key_stores_feedback(call: Call, stored: RowOf, trace: str) -> None:
    answer = call("feedback.create", {"traceID": trace, "value": 1}, apiKey=None)["answer"]
    assert stored(answer["feedback_ids"][0])["trace_id"] == trace


def test_the_trace_id_of_the_client_serves_where_the_call_has_none(call: Call, stored: RowOf, trace: str) -> None:
    answer = call("feedback.create", {"value": 1}, traceID=trace)["answer"]
    assert stored(answer["feedback_ids"][0])["trace_id"] == trace


def test_logs_created_with_the_sdk_join_the_feedback(call: Call, stored: RowOf, logged: RowOf, trace: str) -> None:
    log = {
        "request": {"url": "https://api.openai.com/v1/chat/completions", "provider": "openai", "body": {"model": "m"}},
        "response": {"status": 200, "responseTime": 412, "body": {"usage": {"total_tokens": 57}}},
        "metadata": {"traceId": trace, "spanId": "s1", "spanName": "title"},
    }
    row = logged(call("logs.create", log)["answer"]["ids"][0])
    assert (row["trace_id"], row["span_id"], row["span_name"], row["model"]) == (trace, "s1", "title", "m")
    assert (row["response_time_ms"], row["total_tokens"]) == (412, 57)
    answer = call("feedback.create", {"traceID": trace, "value": 1})["answer"]
    joined = stored(answer["feedback_ids"][0])
    assert (joined["join_state"], joined["models"]) == ("joined", ["m"])


def test_the_lock_file_pins_every_package_by_hash_and_names_no_registry() -> None:
    packages = json.loads((PACKAGE / "package-lock.json").read_text())["packages"]
    named = packages[""]["dependencies"]
    assert named["portkey-ai"] == "3.1.0"
    assert all(version[0].isdigit() for version in named.values()), "each by one version"
    for path, package in packages.items():
        assert "resolved" not in package, f"{path}: npm install --omit-lockfile-registry-resolved leaves it out"
        assert not path or package["integrity"].startswith("sha512-")


def test_analytics_of_what_was_given_are_read(pipeline: Pipeline, call: Call, trace: str) -> None:
    given = {"traceID": trace, "weight": 0.5, "metadata": {"_prompt": trace}}
    for value in (4, -2):
        call("feedback.create", {**given, "value": value})
    count = "SELECT count() FROM feedback.feedback WHERE _prompt = {p:String}"
    until(lambda: pipeline.count(count, p=trace) == 2, "both are stored")
    now = datetime.now(UTC)
    asked = {
        "time_of_generation_min": (now - timedelta(hours=2)).isoformat(),
        "time_of_generation_max": (now + timedelta(minutes=1)).isoformat(),
        "prompt_slug": trace,
    }
    graphs = {
        name: call(f"analytics.graphs.{name}", asked)["answer"]
        for name in ("feedbacks", "feedbacks_score", "feedbacks_weighted", "feedback_ai_models")
    }
    assert graphs["feedbacks"]["summary"] == {"total": 2, "positive": 1, "neutral": 0, "negative": 1}
    assert graphs["feedbacks_score"]["data_points"] == [{"score": -2, "total": 1}, {"score": 4, "total": 1}]
    assert graphs["feedbacks_weighted"]["summary"] == {"avg": 0.5, "weighted_mean": 1.0, "n": 2}
    (model,) = graphs["feedback_ai_models"]["data_points"]
    assert (model["ai_model"], model["total"], model["avg_weighted_feedback"]) == ("", 2, 0.5)


def test_analytics_of_requests_are_read(pipeline: Pipeline, call: Call, trace: str) -> None:
    for user, status, cost in (("ann", 200, 0.1), ("ann", 503, 0.2), ("bob", 200, 0.3)):
        log = {
            "request": {"url": "https://provider.example/v1", "provider": "openai", "body": {"model": f"for-{user}"}},
            "response": {"status": status, "response_time": 40, "body": {"usage": {"total_tokens": 5}}},
            "metadata": {"_prompt": trace, "_user": user},
            "cost": cost,
        }
        call("logs.create", log)
    count = "SELECT count() FROM feedback.request_logs WHERE _prompt = {p:String}"
    until(lambda: pipeline.count(count, p=trace) == 3, "all are stored")
    now = datetime.now(UTC)
    asked = {
        "time_of_generation_min": (now - timedelta(hours=2)).isoformat(),
        "time_of_generation_max": (now + timedelta(minutes=1)).isoformat(),
        "prompt_slug": trace,
    }
    summaries: dict[str, Outcome] = {
        "requests": {"total": 3},
        "cost": {"total": 0.6, "avg": 0.2, "n": 3},
        "latency": {"avg": 40, "p50": 40, "p90": 40, "p95": 40, "p99": 40, "n": 3},
        "tokens": {
            "total": 15, "avg": 5, "input": 0, "avg_input": None, "output": 0, "avg_output": None, "n": 3
        },
        "users": {"total": 2},
        "usersRequests": {"total": 3, "unique": 2, "avg": 1.5},
        "errors": {"total": 1},
        "errors_rate": {"rate": 100 / 3, "success": 200 / 3, "errors": 1, "requests": 3},
        "errors_stack": {"total": 1},
        "errors_status_code": {"total_errors": 1, "unique_error_codes": 1},
    }  # fmt: skip
    for name, summary in summaries.items():
        assert call(f"analytics.graphs.{name}", asked)["answer"]["summary"] == summary, name
    groups = "analytics.groups"
    for answer in (
        call(f"{groups}.users", asked),
        call(f"{groups}.aiModels", asked),
        call(f"{groups}.workspaces", asked),
    ):
        assert sum(group["requests"] for group in answer["answer"]["data"]) == 3
    by_cost = {**asked, "columns": "cost,last_seen", "order_by": "cost", "order_by_type": "asc"}
    assert [
        (group["status_code"], group["cost"])
        for group in call(f"{groups}.groupedData", "status_code", by_cost)["answer"]["data"]
    ] == [(503, 0.2), (200, 0.4)]
    error = call("analytics.graphs.requests_rescued", asked)["error"]
    assert (error["type"], error["status"]) == ("NotFoundError", 404)


def test_of_two_spellings_of_the_trace_id_in_one_call_the_sdk_sends_the_later(
    call: Call, stored: RowOf, trace: str
) -> None:
    """It writes both as `trace_id`, one over the other. In a list both go out, and the edge's order counts."""
    first, last = {"traceID": f"{trace}-ID", "traceId": f"{trace}-Id"}, {"traceId": f"{trace}-Id", "traceID": trace}
    for given, sent, alone in ((first, f"{trace}-Id", f"{trace}-ID"), (last, trace, trace)):
        given = {**given, "value": 1}
        assert json.loads(on_the_wire(call, "feedback.create", given)) == {"trace_id": sent, "value": 1}
        assert json.loads(on_the_wire(call, "feedback.create", [given])) == {"0": given}
        for body, trace_id in ((given, sent), ([given], alone)):
            (feedback_id,) = call("feedback.create", body)["answer"]["feedback_ids"]
            assert stored(feedback_id)["trace_id"] == trace_id


def test_an_export_from_its_order_to_its_rows(pipeline: Pipeline, call: Call, logged: RowOf, trace: str) -> None:
    request_id = pipeline.request(trace, "gpt-4o", "openai", _user="fef653")
    logged(request_id)
    pipeline.feedback(trace, 4, 0.5)
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 1, "the feedback is stored")

    def export_answer(method: str, **given: Any) -> Any:
        return call(f"logs.exports.{method}", given)["answer"]

    created = export_answer(
        "create",
        filters={"trace_id": "another"},
        workspaceId="default",
        description="for the contract",
        requestedData=["id", "trace_id", "ai_model", "metadata"],
    )
    assert (created["total"], created["object"]) == (0, "export")
    export_id = created["id"]
    draft = export_answer("retrieve", exportId=export_id)
    assert (draft["status"], draft["description"]) == ("draft", "for the contract")
    assert draft["requested_data"] == ["id", "trace_id", "ai_model", "metadata"]
    updated = export_answer("update", exportId=export_id, filters={"trace_id": trace}, workspaceId="default")
    assert (updated["id"], updated["total"]) == (export_id, 1)
    assert export_answer("start", exportId=export_id)["message"]
    until(lambda: export_answer("retrieve", exportId=export_id)["status"] == "success", "the export is complete")
    assert export_answer("retrieve", exportId=export_id)["total_records"] == 1
    listed = export_answer("list", workspaceId="default")
    assert (listed["object"], listed["data"][0]["id"]) == ("list", export_id)

    url = export_answer("download", exportId=export_id)["signed_url"]
    (row,) = map(json.loads, requests.get(url, timeout=30).text.splitlines())
    assert (row["id"], row["trace_id"], row["ai_model"]) == (request_id, trace, "gpt-4o")
    assert (row["metadata"]["_user"], row["feedback"]) == ("fef653", [{"value": 4, "weight": 0.5}])

    error = call("logs.exports.cancel", {"exportId": export_id})["error"]
    assert (error["type"], error["status"]) == ("ConflictError", 409)
    error = call("logs.exports.retrieve", {"exportId": "3c90c3cc-0d44-4b50-8888-8dd25736052a"})["error"]
    assert (error["type"], error["status"]) == ("NotFoundError", 404)


def on_the_wire(call: Call, method: str, given: Any) -> bytes:
    """The body that the SDK sends; it is answered 400, which the SDK does not repeat."""
    received: list[bytes] = []

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(400)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            call(method, given, baseURL=f"http://127.0.0.1:{server.server_port}/v1")
        finally:
            server.shutdown()
    (body,) = received
    return body

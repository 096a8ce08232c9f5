"""A real edge over a real broker: what a 200 promises, what every other answer says, and how it ends and recovers."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from pydantic import TypeAdapter

from schemas.events import FeedbackCreated, FeedbackDeleted, FeedbackEvent, FeedbackUpdated, RequestLogged
from schemas.ids import partition_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS
from tests.pipeline.engines import PARTITIONS
from tests.pipeline.ingest_api.edge_fixtures import Broker, Edge, failed, feedback_ids, trace_in

EVENTS: TypeAdapter[Any] = TypeAdapter(FeedbackEvent)
ONE = {"trace_id": "t", "value": 1}


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """For tests that look at replies only."""
    folder = tmp_path_factory.mktemp("shared")
    shared_broker = Broker(folder)
    running = Edge(folder, shared_broker.bootstrap)
    running.until_ready()
    yield running
    running.kill()
    shared_broker.kill()


def test_every_shape_of_feedback_is_answered_with_ids_and_is_in_the_topic(broker: Broker, edge: Edge) -> None:
    sdk = {"x-portkey-api-key": "k", "authorization": "Bearer k", "content-type": "application/json"}
    calls: list[tuple[str, Any, dict[str, str], list[str]]] = [
        ("/v1/feedback", {"trace_id": "a", "value": 5, "weight": None, "metadata": None}, sdk, ["a"]),
        ("/v1/feedback/", {"traceID": "b", "value": "7", "weight": 0.5, "metadata": {"_user": "u"}}, sdk, ["b"]),
        ("/v1/feedback", [{"trace_id": "c", "value": 1}, {"trace_id": "d", "value": -1}], sdk, ["c", "d"]),
        ("/v1/feedback", {"1": {"traceId": "f", "value": 2}, "0": {"traceID": "e", "value": 1}}, sdk, ["e", "f"]),
        ("/v1/feedback", {"value": 1}, {"x-portkey-trace-id": "g"}, ["g"]),
        (
            "/v1/feedback",
            {"trace_id": "h", "value": 0, "metadata": '{"_user":"u"}'},
            {"content-type": "application/json; charset=utf-8"},
            ["h"],
        ),
    ]
    before = time.time() * 1000
    expected: dict[str, str] = {}
    for path, body, headers, trace_ids in calls:
        reply = requests.post(
            edge.url + path, data=json.dumps(body), headers=headers, allow_redirects=False, timeout=10
        )
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "application/json"
        answer = reply.json()
        assert (answer["status"], answer["message"]) == ("success", "Feedback successfully saved")
        expected |= dict(zip(answer["feedback_ids"], trace_ids, strict=True))
    records = broker.records(FEEDBACK_EVENTS, len(expected))
    events = [EVENTS.validate_json(record.value) for record in records]
    assert {event.feedback_id: event.trace_id for event in events} == expected
    for record, event in zip(records, events, strict=True):
        assert isinstance(event, FeedbackCreated)
        assert record.key == trace_key("default", event.trace_id)
        assert record.partition == partition_of(murmur2(record.key), PARTITIONS)
        assert before - 1 <= record.timestamp <= time.time() * 1000
        assert round(event.created_at.timestamp() * 1000) == record.timestamp
    assert {event.trace_id: event.user for event in events if event.user} == {"b": "u", "h": "u"}


def test_every_shape_of_request_log_is_answered_with_ids_and_is_in_the_topic(broker: Broker, edge: Edge) -> None:
    parts: dict[str, Any] = {
        "request": {"provider": "openai", "headers": {"Authorization": "Bearer s3cret"}, "body": {"model": "m"}},
        "response": {"status": 200, "response_time": "0123", "body": {"usage": {"total_tokens": 3}}},
    }
    parent = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    ids = [
        *edge.saved(parts | {"metadata": {"traceId": "a"}}, "/v1/logs"),
        *edge.saved([parts | {"trace_id": "b", "span_id": "s"}, parts | {"traceID": "c"}], "/v1/logs/"),
        *edge.saved(parts, "/v1/logs", parent),
    ]
    reply = edge.post("/v1/logs", parts).json()
    assert (reply["status"], reply["message"]) == ("success", "Logs successfully saved")
    ids += reply["ids"]
    traces = ["a", "b", "c", "4bf92f3577b34da6a3ce929d0e0e4736", *reply["trace_ids"]]
    records = broker.records(REQUEST_LOGS, 5)
    events = [RequestLogged.model_validate_json(record.value) for record in records]
    assert {event.request_id: event.trace_id for event in events} == dict(zip(ids, traces, strict=True))
    for record, event in zip(records, events, strict=True):
        assert record.partition == partition_of(murmur2(trace_key("default", event.trace_id)), PARTITIONS)
        assert (event.model, event.response_time_ms, event.total_tokens) == ("m", 123, 3)
        assert b"s3cret" not in record.value


def test_updates_and_deletes_follow_their_create_in_its_partition(broker: Broker, edge: Edge) -> None:
    for number in range(PARTITIONS):
        (feedback_id,) = edge.saved({"trace_id": trace_in(number), "value": 1})
        changed = edge.call("PUT", f"/v1/feedback/{feedback_id}", {"value": 3, "feedback_id": feedback_id})
        assert changed.json() == {
            "status": "success",
            "message": "Feedback successfully updated",
            "feedback_ids": [feedback_id],
        }
        deleted = edge.call("DELETE", f"/v1/feedback/{feedback_id}")
        assert deleted.json() == {
            "status": "success",
            "message": "Feedback successfully deleted",
            "feedback_ids": [feedback_id],
        }
    records = broker.records(FEEDBACK_EVENTS, 3 * PARTITIONS)
    for number in range(PARTITIONS):
        mine = [EVENTS.validate_json(record.value) for record in records if record.partition == number]
        assert [type(event) for event in mine] == [FeedbackCreated, FeedbackUpdated, FeedbackDeleted]
        assert len({event.feedback_id for event in mine}) == 1


def test_a_refused_bulk_call_publishes_nothing(broker: Broker, edge: Edge) -> None:
    items: list[Any] = [{"trace_id": str(n), "value": 1} for n in range(100)]
    items[99] = {"trace_id": "t", "value": 11}
    error = failed(edge.post("/v1/feedback", items), 400, "AB01")
    assert (error["param"], error["message"]) == (
        "[99].value",
        "item 99: value must be an integer from -10 to 10, got 11",
    )
    # What was sent before these would be read before them: each partition has one.
    after = edge.saved([{"trace_id": trace_in(number), "value": 1} for number in range(PARTITIONS)])
    records = broker.records(FEEDBACK_EVENTS, PARTITIONS)
    assert set(feedback_ids(records)) == set(after)


def test_a_bulk_call_reaches_every_partition_in_order(broker: Broker, edge: Edge) -> None:
    ids = edge.saved([{"trace_id": str(n % 40), "value": 1} for n in range(1000)])
    records = broker.records(FEEDBACK_EVENTS, 1000)
    positions = {feedback_id: position for position, feedback_id in enumerate(ids)}
    for number in range(PARTITIONS):
        mine = [positions[each] for each in feedback_ids([r for r in records if r.partition == number])]
        assert mine
        assert mine == sorted(mine)


def test_an_event_larger_than_a_batch_arrives_whole(broker: Broker, edge: Edge) -> None:
    body = {"request": {"body": "x" * 4_900_000}, "response": {}}
    edge.together(*[body] * 2, path="/v1/logs")
    for record in broker.records(REQUEST_LOGS, 2):
        assert len(RequestLogged.model_validate_json(record.value).request_body) == 4_900_000


def test_every_refusal_has_the_one_error_body(shared_edge: Edge) -> None:
    assert failed(shared_edge.post("/v1/feedback", b'{"a":'), 400, "AB01")["param"] is None
    assert failed(shared_edge.post("/v1/logs", {"response": {}}), 400, "AB01")["param"] == "request"
    assert failed(shared_edge.post("/v1/feedback", b'{"value":1,"value":1}'), 400, "AB01")["param"] == "value"
    for header, value in (("Content-Encoding", "gzip"), ("Content-Type", "text/plain")):
        assert failed(shared_edge.post("/v1/feedback", ONE, {header: value}), 400, "AB01")["param"] == header
    assert "feedbackID" in failed(shared_edge.call("PUT", "/v1/feedback/undefined", ONE), 404, "AB02")["message"]
    assert "feedback_id" in failed(shared_edge.call("PUT", "/v1/feedback/NOT_GIVEN", ONE), 404, "AB02")["message"]
    failed(shared_edge.call("DELETE", "/v1/feedback/x"), 404, "AB02")
    failed(shared_edge.get("/v1/nothing"), 404, "AB02")
    failed(shared_edge.get("/v1/feedback/a/b"), 404, "AB02")
    for method, path, allowed in (
        ("GET", "/v1/feedback", "POST"),
        ("PUT", "/v1/logs", "POST"),
        ("POST", "/v1/feedback/x", "DELETE, PUT"),
        ("POST", "/healthz", "GET, HEAD"),
    ):
        reply = shared_edge.call(method, path)
        failed(reply, 405, "AB01")
        assert ", ".join(sorted(reply.headers["allow"].split(", "))) == allowed


def test_a_body_over_the_limit_is_refused_whether_or_not_it_tells_its_length(shared_edge: Edge) -> None:
    failed(shared_edge.post("/v1/feedback", b" " * 5_000_001), 413, "AB01")
    chunks = (b" " * 100_000 for _ in range(60))
    failed(requests.post(f"{shared_edge.url}/v1/feedback", data=chunks, timeout=10), 413, "AB01")
    failed(shared_edge.post("/v1/feedback", b" " * 5_000_000), 400, "AB01")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"content-length: 5000001\r\nexpect: 100-continue", b""),
        (b"transfer-encoding: chunked", b"4c4b41\r\n" + b" " * 5_000_001),
    ],
)
def test_a_body_over_the_limit_is_refused_before_all_of_it_has_come(
    shared_edge: Edge, head: bytes, body: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", shared_edge.port), timeout=10) as call:
        call.sendall(b"POST /v1/logs HTTP/1.1\r\nhost: localhost\r\n" + head + b"\r\n\r\n" + body)
        assert call.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_the_documentation_is_served(shared_edge: Edge) -> None:
    assert "/v1/feedback" in shared_edge.get("/openapi.json").json()["paths"]
    assert "swagger" in shared_edge.get("/docs").text

"""What became of a feedback, asked over HTTP: queued, stored, deleted, dead; and calls repeated under a key."""

import sys
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from deploy.kafka.broker import free_ports
from tests.pipeline.engines import Process, answers, until
from tests.pipeline.running import Pipeline
from tests.pipeline.stream_workers.test_pipeline import a_trace


def receipt(pipeline: Pipeline, feedback_id: str) -> dict[str, Any]:
    reply = requests.get(f"{pipeline.url}/v1/feedback/{feedback_id}", timeout=30)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def status(pipeline: Pipeline, feedback_id: str) -> str:
    return str(receipt(pipeline, feedback_id)["status"])


@pytest.mark.each_source
def test_a_receipt_follows_a_feedback_from_the_queue_to_its_end(pipeline: Pipeline) -> None:
    for worker in pipeline.workers:
        worker.kill()
    trace = a_trace()
    feedback = pipeline.feedback(trace, 5, 0.5, text="good", _user="u1")
    assert status(pipeline, feedback) == "queued"
    pipeline.workers[0].start()
    until(lambda: status(pipeline, feedback) == "stored", "it is stored")
    told = receipt(pipeline, feedback)["feedback"]
    assert (told["trace_id"], told["value"], told["weight"], told["join_state"]) == (trace, 5, 0.5, "pending")
    assert (told["metadata"], told["_user"], told["_prompt"]) == ({"text": "good", "_user": "u1"}, "u1", None)

    pipeline.request(trace, "gpt-4o", "openai")
    until(lambda: receipt(pipeline, feedback)["feedback"]["join_state"] == "joined", "it is joined")
    requests.put(f"{pipeline.url}/v1/feedback/{feedback}", json={"value": -1}, timeout=30).raise_for_status()
    until(lambda: receipt(pipeline, feedback)["feedback"]["value"] == -1, "the edit shows")
    requests.delete(f"{pipeline.url}/v1/feedback/{feedback}", timeout=30).raise_for_status()
    until(lambda: status(pipeline, feedback) == "deleted", "it is deleted")
    requests.put(f"{pipeline.url}/v1/feedback/{feedback}", json={"value": 3}, timeout=30).raise_for_status()
    until(lambda: receipt(pipeline, feedback)["refused"], "the late edit is told as refused")
    (refused,) = receipt(pipeline, feedback)["refused"]
    assert (refused["event"], refused["reason"]) == ("update", "deleted_feedback")
    assert status(pipeline, feedback) == "deleted"


@pytest.mark.parametrize(
    "form", ["not-an-id", "0b6ff5c2-5a3c-4f0e-9d3f-2f4f6f1d7c11", "01970000-0000-8000-8000-9b11edf90000"]
)
def test_an_id_that_was_never_accepted_is_a_404(pipeline: Pipeline, form: str) -> None:
    reply = requests.get(f"{pipeline.url}/v1/feedback/{form}", timeout=30)
    assert (reply.status_code, reply.json()["error"]["param"]) == (404, "feedback_id")
    assert form in reply.json()["message"]


def test_a_call_repeated_under_its_key_is_stored_once_and_another_body_is_refused(pipeline: Pipeline) -> None:
    trace, key = a_trace(), uuid.uuid4().hex
    body = {"trace_id": trace, "value": 2, "metadata": {"a": 1}}

    def send(body: Any) -> requests.Response:
        return requests.post(f"{pipeline.url}/v1/feedback", json=body, headers={"Idempotency-Key": key}, timeout=30)

    first, second = send(body), send(body)
    assert first.json()["feedback_ids"] == second.json()["feedback_ids"]
    conflict = send(body | {"value": 3})
    assert (conflict.status_code, conflict.json()["error"]["param"]) == (409, "Idempotency-Key")
    until(lambda: pipeline.accounted() == pipeline.accepted(), "every record is accounted for")
    assert pipeline.aggregate(trace)["feedback_count"] == 1
    assert pipeline.stored(first.json()["feedback_ids"][0])["value"] == 2


def test_requests_repeated_under_a_key_are_stored_once_and_what_differs_never(
    pipeline: Pipeline, other_edge: str
) -> None:
    trace, key = a_trace(), uuid.uuid4().hex
    body = [{"request": {"body": {"model": f"m-{n}"}}, "response": {}, "trace_id": trace} for n in range(2)]

    def send(url: str, body: Any, path: str = "logs") -> requests.Response:
        return requests.post(f"{url}/v1/{path}", json=body, headers={"Idempotency-Key": key}, timeout=30)

    first = send(pipeline.url, body)
    assert first.status_code == 200, first.text
    until(pipeline.is_settled, "the first call is stored")
    for url in (pipeline.url, other_edge):
        assert send(url, body).json()["ids"] == first.json()["ids"]
    for conflict in (
        send(pipeline.url, body[:1]),
        send(other_edge, body[::-1]),
        send(other_edge, {"trace_id": trace, "value": 1}, "feedback"),
    ):
        assert (conflict.status_code, conflict.json()["error"]["param"]) == (409, "Idempotency-Key")

    key = uuid.uuid4().hex
    send(pipeline.url, body).raise_for_status()
    until(pipeline.is_settled, "another call is stored")
    changed = send(other_edge, [body[0], body[1] | {"cost": 1}])
    assert changed.status_code == 200, changed.text
    until(lambda: pipeline.accounted() == pipeline.accepted(), "every record is accounted for")
    stored = pipeline.sql("SELECT model, cost FROM feedback.request_logs WHERE trace_id = {t:String}", t=trace)
    assert sorted((row["model"], row["cost"]) for row in stored) == [("m-0", None)] * 2 + [("m-1", None)] * 2
    dead = pipeline.sql(
        "SELECT reason, topic FROM feedback.dead_letters FINAL WHERE JSONExtractString(value, 'trace_id') = {t:String}",
        t=trace,
    )
    assert dead == [{"reason": "idempotency_key_reused", "topic": "request.logs.v1"}] * 2


@pytest.fixture(scope="module")
def other_edge(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An edge that knows nothing of the keys that the pipeline's own has seen."""
    (port,) = free_ports(1)
    environment = {**pipeline.engines.environment, "FEEDBACK_PORT": str(port)}
    other = Process([sys.executable, "-m", "deploy.api"], tmp_path_factory.mktemp("other") / "edge.log", environment)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the other edge is ready")
        yield f"http://127.0.0.1:{port}"
    finally:
        other.kill()


def post(url: str, body: Any, key: str) -> list[str]:
    reply = requests.post(f"{url}/v1/feedback", json=body, headers={"Idempotency-Key": key}, timeout=30)
    assert reply.status_code == 200, reply.text
    ids: list[str] = reply.json()["feedback_ids"]
    return ids


@pytest.mark.parametrize("same_trace", [True, False])
def test_a_key_reused_at_another_edge_ends_in_the_dead_letters_and_changes_nothing(
    pipeline: Pipeline, other_edge: str, same_trace: bool
) -> None:
    trace, key = a_trace(), uuid.uuid4().hex
    (stored,) = post(pipeline.url, {"trace_id": trace, "value": 2}, key)
    until(lambda: status(pipeline, stored) == "stored", "the first call is stored")
    (dead,) = post(other_edge, {"trace_id": trace if same_trace else a_trace(), "value": 9}, key)
    assert (dead == stored) == same_trace
    if same_trace:
        until(lambda: receipt(pipeline, stored)["refused"], "the second call is told as refused")
        reason = receipt(pipeline, stored)["refused"][0]["reason"]
    else:
        until(lambda: status(pipeline, dead) == "dead", "the second call is dead")
        reason = receipt(pipeline, dead)["reason"]
    assert reason == "idempotency_key_reused"
    assert receipt(pipeline, stored)["feedback"]["value"] == 2
    assert pipeline.aggregate(trace)["feedback_count"] == 1


def test_a_bulk_call_is_known_by_all_of_its_items_at_every_edge(pipeline: Pipeline, other_edge: str) -> None:
    """Repeated at another edge it is the same call; with one item changed none of it is stored, not even the rest."""
    traces, key = [a_trace() for _ in range(4)], uuid.uuid4().hex
    body = [{"trace_id": trace, "value": n, "metadata": {"n": n}} for n, trace in enumerate(traces[:3])]
    made = post(pipeline.url, body, key)
    assert post(other_edge, body, key) == made
    until(lambda: all(status(pipeline, each) == "stored" for each in made), "the call is stored")
    headers = {"Idempotency-Key": key}
    for changed in (body[:2], [*body, body[0]], body[::-1], body[0]):
        refused = requests.post(f"{pipeline.url}/v1/feedback", json=changed, headers=headers, timeout=30)
        assert refused.status_code == 409

    another_key = uuid.uuid4().hex
    first = post(pipeline.url, body, another_key)
    until(lambda: all(status(pipeline, each) == "stored" for each in first), "the call is stored")
    second = post(other_edge, [*body[:2], {"trace_id": traces[3], "value": 9}], another_key)
    assert second[:2] == first[:2]
    until(lambda: status(pipeline, second[2]) == "dead", "what is only in the second call is dead")
    until(lambda: all(receipt(pipeline, each)["refused"] for each in second[:2]), "what is in both is told as refused")
    reasons = {receipt(pipeline, each)["refused"][0]["reason"] for each in second[:2]}
    assert reasons | {receipt(pipeline, second[2])["reason"]} == {"idempotency_key_reused"}
    until(pipeline.is_settled, "the workers have processed everything")
    assert [pipeline.aggregate(trace).get("feedback_count") for trace in traces] == [2, 2, 2, None]
    assert receipt(pipeline, first[2])["status"] == "stored"

"""What became of a feedback, asked over HTTP: queued, stored, deleted, dead; and calls repeated under a key."""

import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.kafka.broker import free_ports
from tests.pipeline.engines import Process, answers, until
from tests.pipeline.running import Pipeline
from tests.pipeline.test_pipeline import a_trace


def receipt(pipeline: Pipeline, feedback_id: str) -> dict[str, Any]:
    reply = requests.get(f"{pipeline.url}/v1/feedback/{feedback_id}", timeout=30)
    assert reply.status_code == 200, reply.text
    told: dict[str, Any] = reply.json()
    return told


def status(pipeline: Pipeline, feedback_id: str) -> str:
    return str(receipt(pipeline, feedback_id)["status"])


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


@pytest.mark.parametrize("form", ["not-an-id", str(uuid.uuid4()), "01970000-0000-8000-8000-9b11edf90000"])
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


@pytest.mark.parametrize("same_trace", [True, False])
def test_a_key_reused_at_another_edge_ends_in_the_dead_letters_and_changes_nothing(
    pipeline: Pipeline, tmp_path: Path, same_trace: bool
) -> None:
    (port,) = free_ports(1)
    environment = {**pipeline.engines.environment, "FEEDBACK_PORT": str(port)}
    other = Process([sys.executable, "-m", "deploy.api"], tmp_path / "edge.log", environment)
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"), "the other edge is ready")
        trace, headers = a_trace(), {"Idempotency-Key": uuid.uuid4().hex}
        body = {"trace_id": trace, "value": 2}
        first = requests.post(f"{pipeline.url}/v1/feedback", json=body, headers=headers, timeout=30)
        (stored,) = first.json()["feedback_ids"]
        until(lambda: status(pipeline, stored) == "stored", "the first call is stored")
        changed = {"trace_id": trace if same_trace else a_trace(), "value": 9}
        second = requests.post(f"http://127.0.0.1:{port}/v1/feedback", json=changed, headers=headers, timeout=30)
        (dead,) = second.json()["feedback_ids"]
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
    finally:
        other.kill()

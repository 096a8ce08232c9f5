"""One chat through the gateway, from the client's call to its row with the feedback on it."""

import json
from pathlib import Path

import httpx

from tests.pipeline.engines import until
from tests.pipeline.gateway.conftest import gateway_in
from tests.pipeline.running import Pipeline


def test_a_call_that_passed_is_a_request_with_its_feedback(pipeline: Pipeline, tmp_path: Path) -> None:
    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    headers = {
        "authorization": "Bearer sk-hidden",
        "x-portkey-metadata": '{"_user": "ada"}',
        "x-portkey-provider": "openai",
    }
    with (
        gateway_in(tmp_path, pipeline.url) as gateway,
        httpx.Client(base_url=gateway.url, headers=headers, trust_env=False) as client,
    ):
        with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            trace_id = answer.headers["x-portkey-trace-id"]
            feedback = pipeline.feedback(trace_id, 7)
            events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
        said = [choice["delta"].get("content", "") for event in events for choice in event["choices"]]
        assert "".join(said) == "Hello there"
        until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "the feedback is joined with its call")
    assert pipeline.stored(feedback)["models"] == ["gpt-4o"]
    (row,) = pipeline.sql("SELECT * FROM feedback.request_logs WHERE trace_id = {t:String}", t=trace_id)
    assert (row["provider"], row["_user"], row["total_tokens"], row["status"]) == ("openai", "ada", 7, 200)
    assert "Hello there" in row["response_body"]
    assert "sk-hidden" not in str(row)

"""Exports of OTLP through the whole pipeline: what they hold is stored once, and joined."""

import gzip
import json
import os
import time
from typing import Any

import requests

from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline
from tests.unit.ingest_api.otlp_edge import CALL, add_attributes, export, in_json, span

PROTOBUF = {"content-type": "application/x-protobuf"}


def send(pipeline: Pipeline, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    reply = requests.post(f"{pipeline.url}{path}", data=body, headers=headers, timeout=30)
    assert reply.status_code == 200, reply.content
    return reply.content


def requests_on(pipeline: Pipeline, trace: str) -> list[dict[str, Any]]:
    query = "SELECT * FROM feedback.request_log_rows WHERE trace_id = {t:String} ORDER BY span_id"
    return pipeline.sql(query, t=trace)


def test_spans_become_requests_that_feedback_joins_and_a_repeated_export_stores_nothing(pipeline: Pipeline) -> None:
    trace, began = os.urandom(16), time.time_ns() - 2_000_000_000
    times = {"trace_id": trace, "start_time_unix_nano": began, "end_time_unix_nano": began + 1_500_000_000}
    said = {"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"a title?"}]}]'}
    spans = [
        span({"http.route": "/titles"}, span_id=b"a" * 8, **times),
        span(CALL | said | {"user.id": "otlp-user", "plan": "pro"}, span_id=b"b" * 8, parent_span_id=b"a" * 8, **times),
        span(CALL | {"gen_ai.request.model": "m-2"}, span_id=b"c" * 8, **times),
        span(CALL, span_id=b"", **times),
    ]
    score = {
        "gen_ai.evaluation.name": "tone",
        "gen_ai.evaluation.score.value": -4,
        "gen_ai.evaluation.explanation": "curt",
    }
    spans[1].events.add(name="gen_ai.evaluation.result", time_unix_nano=began)
    add_attributes(spans[1].events[0].attributes, score)
    message = export(*spans, resource={"deployment.environment.name": "staging"})
    feedback = pipeline.feedback(trace.hex(), 7)
    first = send(
        pipeline, "/v1/traces", gzip.compress(message.SerializeToString()), PROTOBUF | {"content-encoding": "gzip"}
    )
    assert b"span_id must be 8 bytes" in first
    until(lambda: len(requests_on(pipeline, trace.hex())) == 2, "both calls are requests")

    assert send(pipeline, "/v1/traces", message.SerializeToString(), PROTOBUF) == first
    again = send(pipeline, "/v1/traces", in_json(message), {"content-type": "application/json"})
    assert json.loads(again)["partialSuccess"]["rejectedSpans"] == "1"
    marker = pipeline.request(trace.hex(), "m-3")
    until(lambda: len(requests_on(pipeline, trace.hex())) == 3, "what came after the repeated exports is stored")
    until(lambda: "m-3" in pipeline.stored(feedback).get("models", ()), "the feedback has joined all of them")

    one, two, last = sorted(requests_on(pipeline, trace.hex()), key=lambda row: row["model"])
    assert (str(last["request_id"]), last["span_id"]) == (marker, "")
    assert (one["model"], one["response_time_ms"], one["_user"], one["_environment"]) == (
        "m-1",
        1500,
        "otlp-user",
        "staging",
    )
    assert (one["span_id"], one["parent_span_id"]) == ((b"b" * 8).hex(), (b"a" * 8).hex())
    assert json.loads(one["metadata"])["plan"] == "pro"
    assert json.loads(one["request_body"])["messages"] == [{"role": "user", "content": "a title?"}]
    assert (two["model"], two["status"]) == ("m-2", 200)
    check_evaluation(pipeline, trace.hex())
    joined = pipeline.stored(feedback)
    assert (joined["join_state"], sorted(joined["models"])) == ("joined", ["m-1", "m-2", "m-3"])
    assert requests.get(f"{pipeline.url}/v1/traces/{trace.hex()}", timeout=30).status_code == 200, "below the same path"


def check_evaluation(pipeline: Pipeline, trace: str) -> None:
    """The evaluation within a span was sent thrice: it is one feedback, joined with the requests of its trace."""
    until(lambda: pipeline.aggregate(trace).get("feedback_count") == 2, "both feedbacks count, and none twice")
    query = "SELECT * FROM feedback.feedback WHERE trace_id = {t:String} AND value = -4"
    until(lambda: any("m-3" in row["models"] for row in pipeline.sql(query, t=trace)), "it has joined all requests")
    (one,) = pipeline.sql(query, t=trace)
    assert (one["join_state"], one["_environment"]) == ("joined", "staging")
    assert json.loads(one["metadata"])["comment"] == "curt"

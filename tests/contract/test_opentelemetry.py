"""OpenTelemetry's own SDK and exporter, and two instrumentations of the real openai package, by endpoint alone."""

import json
import random
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from tests.pipeline.engines import until
from tests.pipeline.running import Pipeline

if TYPE_CHECKING:
    import openai

Row = dict[str, Any]
USAGE = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m-1-2026",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Dawn"}, "finish_reason": "stop"}],
    "usage": USAGE,
}
SAID = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a title?"}]


class Upstream(BaseHTTPRequestHandler):
    """Stands in for the provider: it answers every chat, but refuses the model `busy`."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        busy = asked["model"] == "busy"
        body = json.dumps({"error": {"message": "slow down"}} if busy else ANSWER).encode()
        self.send_response(429 if busy else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def client() -> Iterator["openai.OpenAI"]:
    import openai

    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as upstream:
        Thread(target=upstream.serve_forever, daemon=True).start()
        yield openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{upstream.server_port}/v1", max_retries=0)
        upstream.shutdown()


Instrumented = Callable[[Any], TracerProvider]


@pytest.fixture
def instrumented(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instrumented]:
    """Instruments openai, with spans that are exported as an app is told by its environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", pipeline.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-portkey-api-key=any")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,deployment.environment.name=staging")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    used: list[Any] = []

    def instrument(instrumentation: Any) -> TracerProvider:
        provider = TracerProvider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        instrumentation.instrument(tracer_provider=provider)
        used.append(instrumentation)
        return provider

    yield instrument
    for each in used:
        each.uninstrument()


def test_calls_of_the_openai_package_become_requests_that_feedback_joins(
    pipeline: Pipeline, client: "openai.OpenAI", instrumented: Instrumented
) -> None:
    from openai import RateLimitError
    from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor as OpenTelemetry

    for instrumentation in (OpenTelemetry(), OpenInference()):
        provider = instrumented(instrumentation)
        with provider.get_tracer("shop").start_as_current_span("POST /titles") as handler:
            trace_id = format(handler.get_span_context().trace_id, "032x")
            parent = format(handler.get_span_context().span_id, "016x")
            client.chat.completions.create(model="m-1", messages=SAID, temperature=0.5)  # type: ignore[arg-type]
            with pytest.raises(RateLimitError):
                client.chat.completions.create(model="busy", messages=SAID)  # type: ignore[arg-type]
        assert provider.force_flush()
        provider.shutdown()
        instrumentation.uninstrument()
        feedback = pipeline.feedback(trace_id, 9)
        until(lambda: len(rows(pipeline, trace_id)) == 2, "both calls are stored")  # noqa: B023
        good, failed = sorted(rows(pipeline, trace_id), key=lambda row: row["status"])
        check(good, failed, parent)
        until(lambda: pipeline.stored(feedback).get("join_state") == "joined", "it is joined")  # noqa: B023
        assert pipeline.stored(feedback)["models"] == ["busy", "m-1"]


def test_an_evaluation_that_the_sdk_emits_as_an_event_becomes_feedback(
    pipeline: Pipeline, instrumented: Instrumented
) -> None:
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    trace_id = random.getrandbits(128) | 1
    context = SpanContext(trace_id, random.getrandbits(64) | 1, is_remote=False, trace_flags=TraceFlags(1))
    attributes = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 8.0}
    with use_span(NonRecordingSpan(context)):
        provider.get_logger("judge").emit(event_name="gen_ai.evaluation.result", attributes=attributes)
    assert provider.force_flush()
    provider.shutdown()
    query = "SELECT * FROM feedback.feedback WHERE trace_id = {t:String}"
    until(lambda: pipeline.sql(query, t=format(trace_id, "032x")), "the evaluation is stored")
    (row,) = pipeline.sql(query, t=format(trace_id, "032x"))
    assert (row["value"], row["weight"], row["_environment"]) == (8, 1.0, "staging")


def test_the_exporters_of_node_are_read_in_both_encodings(
    pipeline: Pipeline, node_folder: Path, instrumented: Instrumented
) -> None:
    run = subprocess.run(
        ["node", "export.mjs"], cwd=node_folder, capture_output=True, text=True, timeout=60, check=True
    )
    for trace_id in json.loads(run.stdout):
        until(lambda: rows(pipeline, trace_id), "the span is stored")  # noqa: B023
        (row,) = rows(pipeline, trace_id)
        assert (row["model"], row["prompt_tokens"], row["_user"]) == ("m-1", 12, "u")
        assert json.loads(row["metadata"])["tags"] == ["a", "b"]
        until(lambda: pipeline.aggregate(trace_id).get("value_last") == 3, "and so is its evaluation")  # noqa: B023


def rows(pipeline: Pipeline, trace_id: str) -> list[Row]:
    return pipeline.sql("SELECT * FROM feedback.request_logs WHERE trace_id = {t:String}", t=trace_id)


def check(good: Row, failed: Row, parent: str) -> None:
    assert (good["model"], good["provider"], good["status"]) == ("m-1", "openai", 200)
    assert [good[name] for name in USAGE] == [*USAGE.values()]
    assert good["response_time_ms"] > 0
    assert (good["parent_span_id"], good["_environment"]) == (parent, "staging")
    assert json.loads(good["metadata"])["service.name"] == "shop"
    assert json.loads(good["request_body"])["messages"] == SAID
    (choice,) = json.loads(good["response_body"])["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Dawn", "stop")
    assert (failed["model"], failed["status"]) == ("busy", 429)
    assert "slow down" in json.loads(failed["response_body"])["error"]["message"]

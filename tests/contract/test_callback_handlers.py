"""What the SDK's LangChain and LlamaIndex handlers and its span exporter log, in the shapes they have on the wire.

LangChain's handler itself runs in `test_langchain`; LlamaIndex is not installed. All three post through the SDK's own
`Logger`, as here. It ignores the answer, so a shape that is refused is lost without a word: these tests are the only
ones who would notice.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.contract.conftest import RowOf
from tests.pipeline.running import Pipeline

START = 1767268800.25
STARTED_AT = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def log(pipeline: Pipeline, events: list[dict[str, Any]]) -> list[str]:
    """Post events as the handlers do and insist on acceptance; the ids."""
    from portkey_ai.api_resources.apis.logger import Logger

    logger: Any = Logger(api_key="any", base_url=f"{pipeline.url}/v1")
    reply = logger.log(events)
    assert reply.status_code == 200, reply.text
    ids: list[str] = reply.json()["ids"]
    return ids


def langchain(trace: str) -> list[dict[str, Any]]:
    """A model within a chain; the chain's own request and response hold none of the fields of an HTTP call."""
    metadata = {"traceId": trace, "user": "fef653", "_source": "Langchain", "_source_type": "Agent"}
    return [
        {
            "span_id": "span-model",
            "parent_span_id": "span-chain",
            "span_name": "ChatOpenAI",
            "trace_id": trace,
            "request": {
                "method": "POST",
                "url": "chat/completions",
                "provider": "openai",
                "headers": {"provider": "openai"},
                "body": {"messages": [{"role": "Human", "content": "2+2?"}], "model": "gpt-4o", "stop": None},
            },
            "start_time": START,
            "metadata": {**metadata, "source_metadata": '{"type": "llm", "tags": ["seq:step:2"]}'},
            "response": {
                "body": {
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "logprobs": ""}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
                    "model": "gpt-4o-2024",
                },
                "headers": {},
                "response_time": "0123",
            },
        },
        {
            "span_id": "span-chain",
            "parent_span_id": "",
            "span_name": "RunnableSequence",
            "trace_id": trace,
            "request": {"name": "RunnableSequence", "input": '{"q": "2+2?"}'},
            "start_time": START,
            "metadata": metadata,
            "response": {"output": {"answer": "4"}, "response_time": "0125"},
        },
    ]


def llama_index(trace: str) -> list[dict[str, Any]]:
    """An embedding for a retrieval within a query; the requests of the latter two are JSON strings."""
    common: dict[str, Any] = {
        "trace_id": trace,
        "start_time": START,
        "metadata": {"traceId": trace, "_source": "LlamaIndex"},
    }
    return [
        {
            **common,
            "span_id": "span-embedding",
            "parent_span_id": "span-retrieve",
            "span_name": "embedding",
            "event_type": "embedding",
            "request": {
                "method": "POST",
                "url": "embeddings",
                "provider": "OpenAIEmbedding",
                "headers": {},
                "body": {"model": "text-embedding-3-small", "input": ["2+2?"]},
            },
            "response": {
                "status": 200,
                "body": {"embedding": "...REDACTED...", "usage": {"prompt_tokens": 4, "completion_tokens": 20}},
                "headers": {},
                "streamingMode": False,
                "response_time": "0123",
            },
        },
        *(
            {
                **common,
                "span_id": f"span-{name}",
                "parent_span_id": parent,
                "span_name": name,
                "event_type": name,
                "request": json.dumps({"query_str": "2+2?"}),
                "response": {"nodes": [], "response_time": "0125"},
            }
            for name, parent in (("retrieve", "span-query"), ("query", ""))
        ),
    ]


@pytest.mark.parametrize(
    ("shape", "model", "provider", "tokens"),
    [(langchain, "gpt-4o", "openai", 6), (llama_index, "text-embedding-3-small", "OpenAIEmbedding", 24)],
)
def test_the_events_of_a_handler_are_stored_as_requests_of_one_trace(
    pipeline: Pipeline, stored: RowOf, logged: RowOf, trace: str, shape: Any, model: str, provider: str, tokens: int
) -> None:
    sent = shape(trace)
    ids = log(pipeline, sent)
    rows = [logged(request_id) for request_id in ids]
    for name in ("span_id", "parent_span_id", "span_name", "trace_id"):
        assert [row[name] for row in rows] == [event[name] for event in sent]
    assert [row["response_time_ms"] for row in rows] == [float(event["response"]["response_time"]) for event in sent]
    assert {row["started_at"].replace(tzinfo=UTC) for row in rows} == {STARTED_AT}
    assert [json.loads(row["metadata"]) for row in rows] == [event["metadata"] for event in sent]
    assert (rows[0]["model"], rows[0]["provider"], rows[0]["total_tokens"]) == (model, provider, tokens)
    joined = stored(pipeline.feedback(trace, 1))
    assert (joined["join_state"], joined["models"], joined["providers"]) == ("joined", [model], [provider])
    assert joined["_user"] == sent[0]["metadata"].get("user", "")


def test_a_model_called_outside_any_chain_is_stored_under_a_trace_of_its_own(pipeline: Pipeline, logged: RowOf) -> None:
    (event, _) = langchain("")
    del event["metadata"]["traceId"]
    (request_id,) = log(pipeline, [event])
    assert logged(request_id)["trace_id"]


def test_spans_with_whole_numbers_as_ids_are_stored_with_these_as_text(
    pipeline: Pipeline, logged: RowOf, trace: str
) -> None:
    """The OpenTelemetry exporter sends span ids as integers of up to 64 bits."""
    outer, inner = 7184174256340012794, 14100036814414364010
    spans = [
        {
            "metadata": {
                "traceId": trace,
                "spanId": span,
                "spanName": name,
                "parentSpanId": parent,
                "startTime": 1767268800_250_000_000,
                "_logType": "opentelemetry",
                "_source": "unknown",
            },
            "request": {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": {"name": name}},
            "response": {"status": 200, "headers": {}, "body": {}, "response_time": 0.013855999999999999},
        }
        for span, name, parent in ((inner, "inner", outer), (outer, "outer", None))
    ]
    ids = log(pipeline, spans)
    rows = [logged(request_id) for request_id in ids]
    assert [row["span_id"] for row in rows] == [str(inner), str(outer)]
    assert [row["parent_span_id"] for row in rows] == [str(outer), ""]
    assert [row["span_name"] for row in rows] == ["inner", "outer"]
    assert {row["trace_id"] for row in rows} == {trace}

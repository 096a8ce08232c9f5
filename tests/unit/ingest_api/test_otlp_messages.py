"""What a span says of a conversation becomes bodies as OpenAI's chat has them, whichever convention says it."""

import json
from typing import Any

import pytest

from dashboard.conversation import conversation
from tests.unit.ingest_api.otlp_edge import CALL
from tests.unit.ingest_api.test_otlp_spans import request

Json = dict[str, Any]
TURNS = [("system", "be brief"), ("user", "a title?"), ("assistant", "Dawn")]


def turns_of(one: Json) -> list[tuple[str, str]]:
    found = conversation(one.get("request_body"), one.get("response_body"))
    return [(each.role, "\n".join(map(str, each.parts))) for each in found]


def parts(role: str, text: str) -> Json:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


WAYS: dict[str, tuple[Json, list[tuple[str, Json]]]] = {
    "OpenTelemetry": (
        {
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "be brief"}]),
            "gen_ai.input.messages": json.dumps([parts("user", "a title?")]),
            "gen_ai.output.messages": json.dumps([parts("assistant", "Dawn") | {"finish_reason": "stop"}]),
        },
        [],
    ),
    "OpenTelemetry, not as text": (
        {
            "gen_ai.input.messages": [parts("system", "be brief"), parts("user", "a title?")],
            "gen_ai.output.messages": [parts("assistant", "Dawn")],
        },
        [],
    ),
    "OpenInference": (
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "be brief",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.contents.0.message_content.type": "text",
            "llm.input_messages.1.message.contents.0.message_content.text": "a title?",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": "Dawn",
        },
        [],
    ),
    "OpenInference with whole bodies": (
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "system",
            "input.value": json.dumps(
                {"model": "m-1", "messages": [{"role": role, "content": text} for role, text in TURNS[:2]]}
            ),
            "input.mime_type": "application/json",
            "llm.output_messages.0.message.content": "Dawn",
            "output.value": json.dumps({"choices": [{"message": {"role": "assistant", "content": "Dawn"}}]}),
            "output.mime_type": "application/json",
        },
        [],
    ),
    "OpenLLMetry": (
        {
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "be brief",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "a title?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "Dawn",
            "gen_ai.completion.0.finish_reason": "stop",
        },
        [],
    ),
    "events of a span": (
        {},
        [
            ("gen_ai.system.message", {"content": "be brief"}),
            ("gen_ai.user.message", {"gen_ai.event.content": '{"content": "a title?"}'}),
            ("gen_ai.choice", {"gen_ai.event.content": '{"message": {"content": "Dawn"}, "index": 0}'}),
        ],
    ),
    "older events of a span": (
        {},
        [
            ("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(
                [{"role": role, "content": text} for role, text in TURNS[:2]])}),
            ("gen_ai.content.completion", {"gen_ai.completion": '[{"role": "assistant", "content": "Dawn"}]'}),
        ],
    ),
    "the AI SDK for JavaScript": (
        {
            "ai.prompt.messages": json.dumps([{"role": role, "content": text} for role, text in TURNS[:2]]),
            "ai.response.text": "Dawn",
        },
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_conversation_is_the_same_whoever_records_it(way: str) -> None:
    attributes, events = WAYS[way]
    one = request(CALL | attributes, events=events)
    assert turns_of(one) == TURNS
    left = {name for name in one["metadata"] if not name.startswith("openinference.")} - {*CALL}
    assert left == set(), "what the bodies say is not said again"
    assert one["request_body"]["model"] == "m-1"


def test_calls_of_tools_and_their_results_are_those_of_a_chat() -> None:
    messages = [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"degrees": 3}}]},
        {"role": "user", "parts": [{"type": "text", "content": "see"}, {"type": "blob", "mime_type": "image/png"}]},
    ]
    one = request(
        CALL | {"gen_ai.input.messages": json.dumps(messages), "gen_ai.tool.definitions": '[{"name": "weather"}]'}
    )
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    assert one["request_body"] == {
        "model": "m-1",
        "messages": [
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": '{"degrees":3}'},
            {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "blob", "mime_type": "image/png"}]},
        ],
        "tools": [{"name": "weather"}],
    }


def test_calls_of_tools_that_are_spread_over_attributes_are_put_together() -> None:
    spread = {
        "openinference.span.kind": "LLM",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "weather",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": "{}",
    }
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    (choice,) = request(CALL | spread)["response_body"]["choices"]
    assert choice["message"] == {"role": "assistant", "tool_calls": [call]}


def test_calls_of_tools_of_the_ai_sdk_are_those_of_a_chat() -> None:
    told = [{"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": '{"city":"Oslo"}'}, 5]
    (choice,) = request(CALL | {"ai.response.toolCalls": json.dumps(told)})["response_body"]["choices"]
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    assert choice["message"] == {"role": "assistant", "tool_calls": [call]}


def test_vectors_of_embeddings_are_no_metadata() -> None:
    spread = {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e-1",
              "embedding.embeddings.0.embedding.text": "dawn",
              "embedding.embeddings.0.embedding.vector": [0.5, 0.25]}  # fmt: skip
    one = request(spread)
    assert one["request_body"] == {"model": "e-1", "input": ["dawn"]}
    assert one["response_body"] == {"data": [{"index": 0, "embedding": [0.5, 0.25]}]}
    assert one["metadata"] == {"openinference.span.kind": "EMBEDDING"}


@pytest.mark.parametrize(
    "odd",
    [
        {"gen_ai.input.messages": "{not json"},
        {"gen_ai.input.messages": "[1, null, {\"parts\": 5}]"},
        {"gen_ai.input.messages": 7},
        {"gen_ai.system_instructions": {"a": 1}},
        {"llm.input_messages.0.message": "x", "llm.input_messages.0.message.content": "y"},
        {"llm.input_messages.999999999.message.content": "far"},
        {"llm.input_messages." + "1." * 50: "deep"},
        {"llm.output_messages.0.message.tool_calls": "none", "llm.output_messages.0.message.contents": 1},
        {"input.value": "plain", "output.value": "text"},
        {"embedding.embeddings.0.other": 1},
    ],
)  # fmt: skip
def test_no_shape_of_a_message_is_an_error(odd: Json) -> None:
    assert request(CALL | odd)["model"] == "m-1"

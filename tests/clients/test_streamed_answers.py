"""Events of a stream make the answer that the provider would have given in one piece."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_client.streamed_answers import assembled


def text(*events: dict[str, Any], end: str = "\n") -> str:
    return "".join(f"event: x{end}data: {json.dumps(each, ensure_ascii=False)}{end}{end}" for each in events)


def chat(delta: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "created": 1, "choices": [{"index": index, "delta": delta, **more}]}


CHAT = [
    chat({"role": "assistant", "content": ""}),
    chat({"content": "Hel"}),
    chat({"role": "assistant", "content": None}, 1),
    chat({"content": "lo\u2028"}, finish_reason="stop"),
    chat({"tool_calls": [{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]}, 1),
    chat({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}, 1),
    chat(
        {"tool_calls": [{"index": 1, "id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}, 1
    ),
    chat({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}, 1, finish_reason="tool_calls"),
    {"id": "c", "model": "m", "choices": [], "usage": {"total_tokens": 3}},
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_chat_completions_with_calls_of_tools(end: str) -> None:
    calls = [("t1", "f", '{"a": 1}'), ("t2", "g", "{}")]
    assert assembled(text(*CHAT, end=end) + "data: [DONE]" + end + end) == {
        "id": "c",
        "model": "m",
        "created": 1,
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello\u2028"}},
            {
                "index": 1,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {"index": number, "id": each, "type": "function", "function": {"name": name, "arguments": said}}
                        for number, (each, name, said) in enumerate(calls)
                    ],
                },
            },
        ],
        "usage": {"total_tokens": 3},
    }


def test_completions_of_plain_text() -> None:
    pieces = [{"model": "m", "choices": [{"index": 0, "text": each}]} for each in ("a", "b")]
    assert assembled(text(*pieces))["choices"] == [{"index": 0, "finish_reason": None, "text": "ab"}]


def test_messages_with_text_thoughts_citations_and_calls_of_tools() -> None:
    def block(index: int, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}

    def delta(index: int, kind: str, **more: Any) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", **more}}

    usage = {"input_tokens": 9, "output_tokens": 1}
    message = assembled(
        text(
            {"type": "message_start", "message": {"model": "claude", "content": [], "usage": usage}},
            block(0, "thinking", thinking=""),
            delta(0, "thinking", thinking="Hm"),
            delta(0, "thinking", thinking="m"),
            delta(0, "signature", signature="s"),
            block(1, "text", text=""),
            {"type": "ping"},
            delta(1, "text", text="Good "),
            delta(1, "text", text="day"),
            delta(1, "citations", citation={"cited_text": "x"}),
            block(2, "tool_use", id="t", name="f", input={}),
            delta(2, "input_json", partial_json='{"a": '),
            delta(2, "input_json", partial_json="1}"),
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}},
            {"type": "message_stop"},
        )
    )
    assert message == {
        "model": "claude",
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "output_tokens": 4},
        "content": [
            {"type": "thinking", "thinking": "Hmm", "signature": "s"},
            {"type": "text", "text": "Good day", "citations": [{"cited_text": "x"}]},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
    }


def test_an_error_in_a_stream_stands_in_its_answer() -> None:
    fault = {"type": "overloaded_error"}
    assert (
        assembled(text({"type": "message_start", "message": {}}, {"type": "error", "error": fault}))["error"] == fault
    )
    assert assembled(text(chat({"content": "a"}), {"error": fault}))["error"] == fault


def test_responses_whole_and_broken_off() -> None:
    whole = {"model": "o", "usage": {"input_tokens": 1}}
    begun = {"type": "response.created", "response": {"model": "o", "output": []}}
    assert assembled(text(begun, {"type": "response.completed", "response": whole})) == whole
    pieces = [{"type": "response.output_text.delta", "delta": each} for each in ("a", "b")]
    broken = assembled(text(begun, *pieces))
    assert (broken["model"], broken["output"][0]["content"]) == ("o", [{"type": "output_text", "text": "ab"}])


def test_other_streams_are_lists_of_their_events() -> None:
    assert assembled(text({"a": 1})) == {"events": [{"a": 1}]}
    assert assembled('data: {"a":\ndata: 1}\n\n') == {"events": [{"a": 1}]}
    assert assembled("data: [DONE]\ndata: {\nnothing") == {"events": []}
    assert assembled('data: [DONE]\ndata: {"a": 1}') == {"events": [{"a": 1}]}


@given(st.integers(0, len(text(*CHAT))))
def test_a_stream_that_is_cut_off_anywhere_tells_what_came(at: int) -> None:
    answer = assembled(text(*CHAT)[:at])
    said = next((each["message"].get("content") for each in answer.get("choices", ())), "") or ""
    assert "Hello\u2028".startswith(said)


_WORDS = st.sampled_from(
    ["type", "delta", "choices", "index", "message", "content_block", "usage", "response", "error"]
)
_KINDS = st.sampled_from(["message_start", "content_block_delta", "text_delta", "response.created", "message_delta"])
_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | _KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(_WORDS, _VALUES, max_size=4), max_size=8))
def test_no_stream_of_any_shape_is_too_strange(events: list[dict[str, Any]]) -> None:
    json.dumps(assembled(text(*events)))

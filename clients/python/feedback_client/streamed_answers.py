"""A model's streamed answer put together: the events of one response as the object that it would be in one piece.

Pure and lenient, because streams are the provider's, and may break off. Knows the streams of completions and chat
completions, of messages, and of responses.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

Json = dict[str, Any]

# Of a chat completion, texts that come in pieces; any other text of a delta stands for itself.
_IN_PIECES = ("content", "refusal", "reasoning", "reasoning_content", "arguments", "text")
# What an event of a message holds a piece of, and where that is not its own name there, under which.
_OF_MESSAGES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_OF_MESSAGES["input_json_delta"] = "input"
_PIECE_OF = {"input_json_delta": "partial_json"}
_LINE_END = re.compile(r"\r\n|\r|\n")
_ENDS = ("response.completed", "response.incomplete", "response.failed")


def assembled(text: str) -> Any:
    """One answer made of the events in a text; the events themselves where their kind is unknown."""
    events = list(_events(text))
    for make in (_response, _message, _completion):
        answer = make(events)
        if answer is not None:
            return answer
    return {"events": events}


def _events(text: str) -> Iterator[Json]:
    """The events that hold JSON objects. Others are left out, such as [DONE] and one that was cut off."""
    lines: list[str] = []
    # Not `splitlines`, which also splits at characters that JSON may hold.
    for line in [*_LINE_END.split(text), ""]:
        if line.startswith("data:"):
            # Nearly every event is one line.
            event = _object(line[5:])
            if event is None:
                lines.append(line[5:])
                continue
            yield event
        elif line:
            continue
        elif len(lines) > 1 and (event := _object("\n".join(lines))) is not None:
            yield event
        lines.clear()


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _response(events: list[Json]) -> Json | None:
    """OpenAI's responses: the last event holds all of it; of one that broke off there is its text."""
    for event in reversed(events):
        if event.get("type") in _ENDS and isinstance(event.get("response"), dict):
            return _of(event, "response")
    first = next((_of(each, "response") for each in events if each.get("type") == "response.created"), None)
    if not first:
        return None
    said = _joined(each.get("delta") for each in events if each.get("type") == "response.output_text.delta")
    content = [{"type": "output_text", "text": said}]
    return {**first, "output": [{"type": "message", "role": "assistant", "content": content}]} if said else first


def _message(events: list[Json]) -> Json | None:
    """Anthropic's messages: a start, blocks of content in pieces, and an end with the final counts of tokens."""
    start = next((each.get("message") for each in events if each.get("type") == "message_start"), None)
    if not isinstance(start, dict):
        return None
    answer: Json = {**start, "content": _blocks(events)}
    for event in events:
        if event.get("type") == "message_delta":
            answer.update(_of(event, "delta"))
            answer["usage"] = {**_of(answer, "usage"), **_of(event, "usage")}
        elif event.get("type") == "error":
            answer["error"] = event.get("error")
    return answer


def _blocks(events: list[Json]) -> list[Json]:
    """The blocks of a message. The pieces of each are joined by what they are pieces of."""
    blocks: dict[str, Json] = {}
    pieces: dict[tuple[str, str], list[Any]] = {}
    citations: dict[str, list[Any]] = {}
    for event in events:
        index, delta = str(event.get("index", 0)), _of(event, "delta")
        kind = str(delta.get("type"))
        if event.get("type") == "content_block_start":
            blocks[index] = dict(_of(event, "content_block"))
        elif event.get("type") != "content_block_delta":
            continue
        elif kind == "citations_delta":
            blocks.setdefault(index, {"type": "text"})
            citations.setdefault(index, []).append(delta.get("citation"))
        elif name := _OF_MESSAGES.get(kind):
            block = blocks.setdefault(index, {"type": "text"})
            pieces.setdefault((index, name), [block.get(name)]).append(delta.get(_PIECE_OF.get(kind, name)))
    for (index, name), told in pieces.items():
        text = _joined(told)
        # The input of a tool is JSON, unless it broke off.
        value = _object(text) if name == "input" else None
        blocks[index][name] = text if value is None else value
    for index, cited in citations.items():
        blocks[index]["citations"] = cited
    return list(blocks.values())


def _completion(events: list[Json]) -> Json | None:
    """Completions, of chats and of plain text: pieces of each choice, and perhaps usage at the end."""
    chunks = [each for each in events if isinstance(each.get("choices"), list)]
    if not chunks:
        return None
    names = ("id", "model", "created", "system_fingerprint", "service_tier")
    answer: Json = {name: each[name] for each in reversed(chunks) for name in names if each.get(name) is not None}
    choices: dict[str, list[Json]] = {}
    for chunk in chunks:
        for piece in chunk["choices"]:
            if isinstance(piece, dict):
                choices.setdefault(str(piece.get("index", 0)), []).append(piece)
    answer["choices"] = [_choice(pieces) for pieces in choices.values()]
    for event in events:
        if isinstance(event.get("usage"), dict):
            answer["usage"] = event["usage"]
        if event.get("error"):
            answer["error"] = event["error"]
    return answer


def _choice(pieces: list[Json]) -> Json:
    ends = [each["finish_reason"] for each in pieces if each.get("finish_reason")]
    choice: Json = {"index": pieces[0].get("index", 0), "finish_reason": ends[-1] if ends else None}
    if any("text" in each for each in pieces):
        return {**choice, "text": _joined(each.get("text") for each in pieces)}
    return {**choice, "message": {"role": "assistant", **_merged(_of(each, "delta") for each in pieces)}}


def _merged(deltas: Iterable[Json]) -> Json:
    """One object of deltas: texts that come in pieces are joined, calls of tools by their index."""
    merged: Json = {}
    texts: dict[str, list[Any]] = {}
    calls: dict[str, list[Json]] = {}
    inner: dict[str, list[Json]] = {}
    for delta in deltas:
        for name, value in delta.items():
            if name in _IN_PIECES and isinstance(value, str):
                texts.setdefault(name, []).append(value)
            elif name == "tool_calls" and isinstance(value, list):
                for call in value:
                    if isinstance(call, dict):
                        calls.setdefault(str(call.get("index", 0)), []).append(call)
            elif name in ("function", "function_call", "audio") and isinstance(value, dict):
                inner.setdefault(name, []).append(value)
            elif value is not None:
                merged[name] = value
    merged |= {name: _joined(pieces) for name, pieces in texts.items()}
    merged |= {name: _merged(pieces) for name, pieces in inner.items()}
    if calls:
        merged["tool_calls"] = [_merged(pieces) for pieces in calls.values()]
    return merged


def _of(event: Json, name: str) -> Json:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _joined(pieces: Iterable[Any]) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))

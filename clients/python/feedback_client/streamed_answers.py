"""A model's streamed answer put together: the events of one response as the object that it would be in one piece.

Pure and lenient, because streams are the provider's. Knows the streams of chat completions, messages and responses.
"""

import json
from typing import Any


def assembled(text: str) -> Any:
    """One answer made of the events in a text; the events themselves where their kind is unknown."""
    events = [event for event in map(_event, text.splitlines()) if event is not None]
    for make in (_response, _message, _completion):
        answer = make(events)
        if answer is not None:
            return answer
    return {"events": events}


def _event(line: str) -> dict[str, Any] | None:
    if not line.startswith("data:"):
        return None
    try:
        event = json.loads(line[5:])
    except (ValueError, RecursionError):  # such as [DONE], and a line that was cut off
        return None
    return event if isinstance(event, dict) else None


def _response(events: list[dict[str, Any]]) -> Any:
    """OpenAI's responses: the last event holds all of it."""
    ends = ("response.completed", "response.incomplete", "response.failed")
    return next(
        (each["response"] for each in reversed(events) if each.get("type") in ends and "response" in each), None
    )


def _message(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Anthropic's messages: a start, pieces of text, and an end with the final counts of tokens."""
    start = next((each.get("message") for each in events if each.get("type") == "message_start"), None)
    if not isinstance(start, dict):
        return None
    answer = {
        **start,
        "content": [{"type": "text", "text": _joined(_of(each, "delta").get("text") for each in events)}],
    }
    for event in events:
        if event.get("type") == "message_delta":
            answer.update(_of(event, "delta"))
            answer["usage"] = {**_of(answer, "usage"), **_of(event, "usage")}
    return answer


def _completion(events: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Chat completions, and those of plain text: pieces of each choice, and perhaps usage at the end."""
    chunks = [each for each in events if isinstance(each.get("choices"), list)]
    if not chunks:
        return None
    answer: dict[str, Any] = {name: chunks[0][name] for name in ("id", "model", "created") if name in chunks[0]}
    pieces = [piece for chunk in chunks for piece in chunk["choices"] if isinstance(piece, dict)]
    answer["choices"] = [
        _choice(index, [piece for piece in pieces if piece.get("index", 0) == index])
        for index in dict.fromkeys(piece.get("index", 0) for piece in pieces)
        if isinstance(index, int)
    ]
    usage = [chunk["usage"] for chunk in events if isinstance(chunk.get("usage"), dict)]
    return answer | ({"usage": usage[-1]} if usage else {})


def _choice(index: int, pieces: list[dict[str, Any]]) -> dict[str, Any]:
    said = _joined(_of(each, "delta").get("content", each.get("text")) for each in pieces)
    ends = [each["finish_reason"] for each in pieces if each.get("finish_reason")]
    calls = [call for each in pieces for call in _of(each, "delta").get("tool_calls") or []]
    message: dict[str, Any] = {"role": "assistant", "content": said}
    if calls:
        message["tool_call_pieces"] = calls
    return {"index": index, "message": message, "finish_reason": ends[-1] if ends else None}


def _of(event: dict[str, Any], name: str) -> dict[str, Any]:
    value = event.get(name)
    return value if isinstance(value, dict) else {}


def _joined(pieces: Any) -> str:
    return "".join(piece for piece in pieces if isinstance(piece, str))

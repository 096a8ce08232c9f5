"""Extracts the messages to and from a model from the bodies of a request and its response. Pure.

It knows the formats of OpenAI's chat, completions and responses, and of Anthropic's messages. Other bodies have no
messages, and pages show their JSON. Apps may send any body, so nothing in it is taken for granted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Message:
    """One message: its role and its text. `is_answer`: it comes from the response."""

    role: str
    text: str
    is_answer: bool = False


def conversation(request: Any, response: Any) -> list[Message]:
    """The messages in order; none if the bodies have no known format."""
    said = [Message(role, text) for role, text in _sent(request) if text]
    answered = [Message(role, text, is_answer=True) for role, text in _answered(response) if text]
    return said + answered


def _sent(body: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(body, dict):
        return
    for name in ("system", "instructions"):
        if body.get(name):
            yield "system", _text(body[name])
    for name in ("messages", "input", "prompt"):
        if body.get(name):
            yield from _messages(body[name])
            return


def _answered(body: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(body, dict):
        return
    if isinstance(choices := body.get("choices"), list):
        for choice in choices:
            if isinstance(choice, dict):
                yield from _messages([choice.get("message") or {"role": "assistant", "content": choice.get("text")}])
    elif isinstance(output := body.get("output"), list):
        yield from _messages(output)
    elif "content" in body:
        yield str(body.get("role") or "assistant"), _text(body["content"])


def _messages(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield "user", value
        return
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str):
            yield "user", item
        elif isinstance(item, dict):
            role = str(item.get("role") or item.get("type") or "message")
            yield role, _text(item.get("content"))
            for call in item.get("tool_calls") or () if isinstance(item.get("tool_calls"), list) else ():
                yield "tool call", _json(call.get("function", call) if isinstance(call, dict) else call)


def _text(content: Any) -> str:
    """The text of a content: itself, or the parts of a list, those without text as JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return "" if content is None else _json(content)


def _part(part: Any) -> str:
    if isinstance(part, dict):
        for name in ("text", "input_text", "output_text", "refusal"):
            if isinstance(part.get(name), str):
                return str(part[name])
        kind = part.get("type")
        return f"[{kind}]" if kind in ("image_url", "input_image", "image", "input_audio", "file") else _json(part)
    return part if isinstance(part, str) else _json(part)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

"""Extracts the messages to and from a model from the bodies of a request and its response. Pure.

It knows the formats of OpenAI's chat, completions and responses, and of Anthropic's messages. Other bodies have no
messages, and pages show their JSON. Apps may send any body, so nothing in it is taken for granted.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dashboard.pictures import Picture, picture_of

Part = str | Picture


@dataclass(frozen=True)
class Message:
    """One message: its role, and its texts and pictures. `is_answer`: it comes from the response."""

    role: str
    parts: tuple[Part, ...]
    is_answer: bool = False


def conversation(request: Any, response: Any) -> list[Message]:
    """The messages in order; none if the bodies have no known format."""
    said = [Message(role, parts) for role, parts in _sent(request) if parts]
    answered = [Message(role, parts, is_answer=True) for role, parts in _answered(response) if parts]
    return said + answered


def _sent(body: Any) -> Iterator[tuple[str, tuple[Part, ...]]]:
    if not isinstance(body, dict):
        return
    for name in ("system", "instructions"):
        if body.get(name):
            yield "system", _parts(body[name])
    for name in ("messages", "input", "prompt"):
        if body.get(name):
            yield from _messages(body[name])
            return


def _answered(body: Any) -> Iterator[tuple[str, tuple[Part, ...]]]:
    if not isinstance(body, dict):
        return
    if isinstance(choices := body.get("choices"), list):
        for choice in choices:
            if isinstance(choice, dict):
                yield from _messages([choice.get("message") or {"role": "assistant", "content": choice.get("text")}])
    elif isinstance(output := body.get("output"), list):
        yield from _messages(output)
    elif "content" in body:
        yield str(body.get("role") or "assistant"), _parts(body["content"])


def _messages(value: Any) -> Iterator[tuple[str, tuple[Part, ...]]]:
    if isinstance(value, str):
        yield "user", _parts(value)
        return
    for item in value if isinstance(value, list) else ():
        if isinstance(item, str):
            yield "user", _parts(item)
        elif isinstance(item, dict):
            role = str(item.get("role") or item.get("type") or "message")
            yield role, _parts(item.get("content"))
            for call in item.get("tool_calls") or () if isinstance(item.get("tool_calls"), list) else ():
                yield "tool call", (_json(call.get("function", call) if isinstance(call, dict) else call),)


def _parts(content: Any) -> tuple[Part, ...]:
    """The parts of a content: itself, or those of a list, those that are neither text nor picture as JSON. Texts that
    follow each other are one."""
    if not isinstance(content, list):
        text = content if isinstance(content, str) else "" if content is None else _json(content)
        return (text,) if text else ()
    parts: list[Part] = []
    for part in (each for each in map(_part, content) if each):
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += f"\n{part}"
        else:
            parts.append(part)
    return tuple(parts)


def _part(part: Any) -> Part:
    if isinstance(part, dict):
        for name in ("text", "input_text", "output_text", "refusal"):
            if isinstance(part.get(name), str):
                return str(part[name])
        kind = part.get("type")
        return picture_of(part) or (f"[{kind}]" if kind in ("input_audio", "file") else _json(part))
    return part if isinstance(part, str) else _json(part)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)

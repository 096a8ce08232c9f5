"""Messages of OpenTelemetry's conventions in the form in which OpenAI's chat has them, which the pages know. Pure.

A message there has parts, each with a type. A message of text alone becomes a text; calls of tools and their results
become those of a chat; any other part stays as it is. Whatever has another shape is passed on unchanged.
"""

from typing import Any

from ingest_api.validation.json_limits import dump, parse
from runtime.http_errors import ApiError

Json = dict[str, Any]


def value_in_text(value: Any) -> Any:
    """The value whose JSON a text holds, if it begins as an array or an object does; any other value unchanged."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return parse(value.encode(), allow_nul=True)
        except ApiError:
            return value
    return value


def chat_messages(value: Any) -> list[Any]:
    """The messages in an attribute: those of a list, or one that is alone."""
    value = value_in_text(value)
    found: list[Any] = []
    for each in value if isinstance(value, list) else [value]:
        found += _chat_message(each)
    return found


def instructions(value: Any) -> list[Any]:
    """System instructions as a message; none where there are none."""
    value = value_in_text(value)
    if isinstance(value, list) and all(isinstance(each, dict) and "role" in each for each in value):
        return chat_messages(value)
    return _chat_message({"role": "system", "parts": value if isinstance(value, list) else [value]}) if value else []


def choices(value: Any) -> list[Any]:
    """The choices of an answer, from its messages."""
    value = value_in_text(value)
    found: list[Any] = []
    for each in value if isinstance(value, list) else [value]:
        reason = each.get("finish_reason") if isinstance(each, dict) else None
        for message in _chat_message(each):
            choice = {"index": len(found), "message": message}
            found.append(choice | ({"finish_reason": reason} if reason is not None else {}))
    return found


def _chat_message(message: Any) -> list[Any]:
    """One message; several where it holds the results of several tools."""
    if isinstance(message, str):
        return [{"role": "user", "content": message}]
    if not isinstance(message, dict) or not isinstance(message.get("parts"), list):
        return [message]
    role = str(message.get("role") or "user")
    content: list[Any] = []
    calls: list[Json] = []
    results: list[Json] = []
    for part in message["parts"]:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            content.append({"type": "text", "text": part.get("content")})
        elif kind == "tool_call":
            calls.append(tool_call(part.get("id"), part.get("name"), part.get("arguments")))
        elif kind == "tool_call_response":
            result = part.get("response", part.get("result"))
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": _text(result)})
        else:
            content.append({"type": "text", "text": part} if isinstance(part, str) else part)
    found: Json = {"role": role}
    if content or not calls:
        found["content"] = _joined(content)
    if calls:
        found["tool_calls"] = calls
    return [*([found] if content or calls or not results else []), *results]


def tool_call(identity: Any, name: Any, arguments: Any) -> Json:
    """A call of a tool as an answer of OpenAI's chat has it, with its arguments as text."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": _text(arguments)}}


def _joined(content: list[Any]) -> Any:
    """The text of a content of one text, else its parts."""
    if not content:
        return ""
    alone = content[0]
    is_text = len(content) == 1 and isinstance(alone, dict) and alone.keys() == {"type", "text"}
    return alone["text"] if is_text else content


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else dump(value).decode()

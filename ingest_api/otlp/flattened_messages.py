"""Messages that conventions spread over many attributes, such as `llm.input_messages.0.message.content`. Pure.

OpenInference and OpenLLMetry write a list of messages in this way. They are put together again in the form in which
OpenAI's chat has them.
"""

import re
from typing import Any

from ingest_api.otlp.message_parts import tool_call
from ingest_api.otlp.telemetry_data import Attributes

Json = dict[str, Any]

_PLACE = re.compile(r"([0-9]{1,9})\.(.+)")
_MOST_STEPS = 12
"""As deep as the path of an attribute may be; a deeper one stays under its whole name."""


def take_list(attributes: Attributes, prefix: str) -> list[Json]:
    """The objects of a list whose attributes begin with the prefix, by their numbers, taken out of the attributes."""
    found: dict[int, Json] = {}
    for name in [name for name in attributes if name.startswith(prefix)]:
        if place := _PLACE.fullmatch(name, len(prefix)):
            steps = place[2].split(".", _MOST_STEPS)
            if _put(found.setdefault(int(place[1]), {}), steps, attributes[name]):
                del attributes[name]
    return [found[number] for number in sorted(found) if found[number]]


def _put(target: Json, steps: list[str], value: Any) -> bool:
    """Set the value at a path; False where another attribute has a value on the way."""
    for step in steps[:-1]:
        inner = target.setdefault(step, {})
        if not isinstance(inner, dict):
            return False
        target = inner
    return target.setdefault(steps[-1], value) is value


def message_of(flat: Json) -> Json:
    """The message in one object of such a list."""
    within = flat.get("message")
    held: Json = {**within} if isinstance(within, dict) else {**flat}
    parts = [_part(each) for each in _numbered(held.pop("contents", None))]
    calls = [_call(each) for each in _numbered(held.pop("tool_calls", None))]
    message = {"role": held.pop("role", "user")}
    content = held.pop("content", None)
    if parts or content is not None or not calls:
        message["content"] = (parts[0]["text"] if _is_text_alone(parts) else parts) if parts else content or ""
    if calls:
        message["tool_calls"] = calls
    held.pop("finish_reason", None)
    return message | held


def choices_of(flat: list[Json]) -> list[Json]:
    """The choices of an answer, from the objects of such a list."""
    found = []
    for index, each in enumerate(flat):
        within = each.get("message")
        reason = each.get("finish_reason") or (within.get("finish_reason") if isinstance(within, dict) else None)
        message = message_of({"role": "assistant", **each})
        found.append({"index": index, "message": message} | ({"finish_reason": reason} if reason else {}))
    return found


def _numbered(held: Any) -> list[Json]:
    """The objects under numbers, in order."""
    if not isinstance(held, dict):
        return []
    numbers = sorted((each for each in held if each.isascii() and each.isdigit()), key=lambda each: (len(each), each))
    return [held[each] for each in numbers if isinstance(held[each], dict)]


def _part(held: Json) -> Json:
    content = held.get("message_content")
    if not isinstance(content, dict):
        return held
    kind = content.get("type")
    if kind == "image":
        image = content.get("image")
        url = image.get("image", image) if isinstance(image, dict) else image
        return {"type": "image_url", "image_url": url}
    return content


def _is_text_alone(parts: list[Json]) -> bool:
    return len(parts) == 1 and parts[0].get("type", "text") == "text" and isinstance(parts[0].get("text"), str)


def _call(held: Json) -> Json:
    call = held.get("tool_call")
    call = call if isinstance(call, dict) else held
    function = call.get("function")
    function = function if isinstance(function, dict) else call
    return tool_call(call.get("id"), function.get("name"), function.get("arguments"))

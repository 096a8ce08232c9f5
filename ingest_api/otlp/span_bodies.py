"""The bodies of a request and its response, from what a span says of the conversation. Pure.

Instrumentations say what was asked and answered in one of several ways, and most only where they are told to. What is
found here is taken out of the attributes. Where nothing is said, there is no body.
"""

from collections.abc import Iterable
from typing import Any

from ingest_api.otlp.flattened_messages import choices_of, message_of, take_list
from ingest_api.otlp.message_parts import chat_messages, choices, instructions, tool_call, value_in_text
from ingest_api.otlp.telemetry_data import Attributes, TimedEvent

Json = dict[str, Any]

# The beginnings of all names that are read here: most spans have none of them.
_SIGNS = (
    *("gen_ai.input.", "gen_ai.output.", "gen_ai.system_", "gen_ai.prompt", "gen_ai.completion", "gen_ai.tool."),
    *("input.", "output.", "llm.input_m", "llm.output_m", "llm.tools", "llm.prompts", "llm.request.f", "ai."),
    "embedding.embeddings.",
)
_ASKED, _ANSWERED = "gen_ai.input.messages", "gen_ai.output.messages"
_MESSAGE_EVENTS = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_CHOICE_EVENT = "gen_ai.choice"


def take_bodies(attributes: Attributes, events: Iterable[TimedEvent]) -> tuple[Any, Any]:
    """The bodies of request and response, each None if nothing is said of it."""
    if events:
        _add_events(attributes, events)
    # A loop, because it takes half the time of `any` here, and this is asked of every span.
    for name in attributes:
        if name.startswith(_SIGNS):
            break
    else:
        return None, None
    asked, answered = _standard(attributes)
    if asked is None and answered is None:
        asked, answered = _spread(attributes)
    if embedded := take_list(attributes, "embedding.embeddings."):
        texts, vectors = _embeddings(embedded)
        asked = asked or _whole(attributes, "input.value", "input.mime_type") or texts
        answered = answered or _whole(attributes, "output.value", "output.mime_type") or vectors
    if asked is None:
        asked = _whole(attributes, "input.value", "input.mime_type")
    if answered is None:
        answered = _whole(attributes, "output.value", "output.mime_type")
    return asked, answered


def _standard(attributes: Attributes) -> tuple[Any, Any]:
    """What the conventions of OpenTelemetry say, now and before, and the AI SDK for JavaScript."""
    system = attributes.pop("gen_ai.system_instructions", None)
    asked = _first(attributes, _ASKED, "gen_ai.prompt", "ai.prompt.messages", "ai.prompt")
    tools = _first(attributes, "gen_ai.tool.definitions", "ai.prompt.tools")
    answered = _first(attributes, _ANSWERED, "gen_ai.completion")
    text = _first(attributes, "ai.response.text", "ai.response.object")
    calls = _tool_calls(attributes.pop("ai.response.toolCalls", None))
    request, response = None, None
    if system is not None or asked is not None:
        request = {"messages": [*instructions(system), *(chat_messages(asked) if asked is not None else [])]}
        request |= {} if tools is None else {"tools": value_in_text(tools)}
    if answered is not None:
        response = {"choices": choices(answered)}
    elif text is not None or calls:
        message: Json = {"role": "assistant"} | ({} if text is None else {"content": text})
        response = {"choices": [{"index": 0, "message": message | ({"tool_calls": calls} if calls else {})}]}
    return request, response


def _tool_calls(value: Any) -> list[Json]:
    """The calls of tools as the AI SDK for JavaScript tells them."""
    found = value_in_text(value)
    return [
        tool_call(each.get("toolCallId"), each.get("toolName"), each.get("input", each.get("args")))
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict)
    ]


def _spread(attributes: Attributes) -> tuple[Any, Any]:
    """What OpenInference and OpenLLMetry spread over many attributes."""
    asked = take_list(attributes, "llm.input_messages.") or take_list(attributes, "gen_ai.prompt.")
    prompts = [] if asked else take_list(attributes, "llm.prompts.")
    answered = take_list(attributes, "llm.output_messages.") or take_list(attributes, "gen_ai.completion.")
    tools = take_list(attributes, "llm.tools.") or take_list(attributes, "llm.request.functions.")
    request: Json | None = None
    if whole := _whole_object(attributes, "input.value", "input.mime_type", asked):
        request = whole
    elif asked or prompts:
        request = {"messages": [message_of(each) for each in asked]} if asked else {"prompt": prompts}
        request |= {"tools": tools} if tools else {}
    response: Json | None = None
    if whole := _whole_object(attributes, "output.value", "output.mime_type", answered):
        response = whole
    elif answered:
        response = {"choices": choices_of(answered)}
    return request, response


def _embeddings(spread: list[Json]) -> tuple[Json, Json]:
    """The bodies of a call for embeddings, in the form that OpenAI's have."""
    held = [each["embedding"] for each in spread if isinstance(each.get("embedding"), dict)]
    vectors = [{"index": index, "embedding": each.get("vector")} for index, each in enumerate(held)]
    return {"input": [each.get("text") for each in held]}, {"data": vectors}


def _whole_object(attributes: Attributes, name: str, kind: str, spread: list[Json]) -> Json | None:
    """The whole body that stands beside messages spread over attributes, which say less."""
    if not spread:
        return None
    body = value_in_text(attributes.get(name))
    if isinstance(body, dict) and ("messages" in body or "choices" in body or "output" in body or "input" in body):
        attributes.pop(name)
        attributes.pop(kind, None)
        return body
    return None


def _whole(attributes: Attributes, name: str, kind: str) -> Any:
    """The body under one name: an object, or whatever it is."""
    attributes.pop(kind, None)
    return value_in_text(attributes.pop(name, None))


def _first(attributes: Attributes, *names: str) -> Any:
    found = [name for name in names if attributes.get(name) is not None]
    return attributes.pop(found[0]) if found else None


def _add_events(attributes: Attributes, events: Iterable[TimedEvent]) -> None:
    """Add what the events of a span say of the conversation to its attributes, where these do not say it themselves."""
    asked: list[Json] = []
    answered: list[Json] = []
    for event in events:
        said = event.attributes
        if event.name in _MESSAGE_EVENTS:
            asked.append({"role": _MESSAGE_EVENTS[event.name], **_content(said)})
        elif event.name == _CHOICE_EVENT:
            answered.append({"role": "assistant", **_content(said)})
        elif event.name in (
            "gen_ai.content.prompt",
            "gen_ai.content.completion",
            "gen_ai.client.inference.operation.details",
        ):
            for name, value in said.items():
                if name.startswith(("gen_ai.prompt", "gen_ai.completion", _ASKED, _ANSWERED, "gen_ai.system_")):
                    attributes.setdefault(name, value)
    if asked:
        attributes.setdefault(_ASKED, asked)
    if answered:
        attributes.setdefault(_ANSWERED, answered)


def _content(said: Attributes) -> Json:
    whole = value_in_text(said.get("gen_ai.event.content"))
    if isinstance(whole, dict):
        inner = whole.get("message")
        return inner if isinstance(inner, dict) else whole
    return {name: value for name, value in said.items() if name in ("content", "role", "tool_calls", "id")}

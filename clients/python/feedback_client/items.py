"""One feedback or one request log, checked and written as the server takes it.

Pure. The limits are those of the server's default settings; every refusal is a ValueError that names the argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any

from feedback_client.storable import MAX_DEPTH, check_storable, check_text, json_of, shown

FEEDBACK_PATH = "/v1/feedback"
LOGS_PATH = "/v1/logs"
PATHS = (FEEDBACK_PATH, LOGS_PATH)

MAX_TRACE_ID_CHARS = 512
MAX_SPECIAL_CHARS = 512
MAX_METADATA_BYTES = 65_536
MAX_ITEM_BYTES = 4_900_000
SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
# What the server reads from the metadata of a request log before it looks anywhere else.
ARGUMENTS = {
    **dict.fromkeys(("trace_id", "traceId", "traceID"), "trace_id"),
    **dict.fromkeys(("span_id", "spanId"), "span_id"),
    **dict.fromkeys(("parent_span_id", "parentSpanId"), "parent_span_id"),
    **dict.fromkeys(("span_name", "spanName"), "span_name"),
}

_LARGEST = 1e15
_MOST_TOKENS = 2**53 - 1
_YEAR_2000, _YEAR_2100 = 946_684_800, 4_102_444_799
_REQUEST = ("url", "method", "provider", "headers", "body")
_RESPONSE = ("status", "response_time", "headers", "body")
# The array of the call and the object of the item stand around what the caller gives.
_LEVELS = MAX_DEPTH - 2


@dataclass(frozen=True)
class Item:
    """One feedback or request log: the path it is posted to, and its JSON."""

    path: str
    body: bytes


def feedback_item(trace_id: str, value: int, weight: float, metadata: Mapping[str, Any]) -> Item:
    """A feedback; ValueError for what the server would refuse."""
    return Item(
        FEEDBACK_PATH,
        json_of(
            {
                "trace_id": checked_trace_id(trace_id),
                "value": checked_value(value),
                "weight": checked_number("weight", weight, 0, 1),
                "metadata": checked_metadata(metadata),
            }
        ),
    )


def log_item(
    request: Mapping[str, Any],
    response: Mapping[str, Any],
    trace_id: str,
    started_at: float,
    metadata: Mapping[str, Any],
    span: Mapping[str, str | None],
    cost: float | None,
) -> Item:
    """The log of one request; ValueError for what the server would refuse."""
    for name in ARGUMENTS.keys() & metadata.keys():
        raise ValueError(f"metadata has {name}: give it as the argument {ARGUMENTS[name]}")
    for name in ("user", "organization"):
        _check_special(f"metadata[{name!r}]", metadata.get(name), nested_is_fault=False)
    item: dict[str, Any] = {
        "request": _request(request),
        "response": _response(response),
        "trace_id": checked_trace_id(trace_id),
        "start_time": checked_number("started_at", started_at, _YEAR_2000, _YEAR_2100),
        "metadata": checked_metadata(metadata),
    }
    for name, text in span.items():
        if text is not None:
            item[name] = checked_text(name, text)
    if cost is not None:
        item["cost"] = checked_number("cost", cost, -_LARGEST, _LARGEST)
    body = json_of(item)
    if len(body) > MAX_ITEM_BYTES:
        raise ValueError(
            f"request and response must have at most {MAX_ITEM_BYTES} bytes as JSON, got {len(body)}: cut their bodies"
        )
    return Item(LOGS_PATH, body)


def checked_trace_id(trace_id: str) -> str:
    """The trace id, if the server takes it."""
    checked_text("trace_id", trace_id)
    if not 1 <= len(trace_id) <= MAX_TRACE_ID_CHARS:
        raise ValueError(f"trace_id must have 1 to {MAX_TRACE_ID_CHARS} characters, got {len(trace_id)}")
    return trace_id


def checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata as a dict, if the server takes it."""
    if not isinstance(metadata, Mapping):
        raise ValueError(f"metadata must be a mapping of names to JSON values, got {shown(metadata)}")
    found = dict(metadata)
    floats = check_storable(found, "metadata", _LEVELS)
    for name in SPECIALS:
        _check_special(name.removeprefix("_"), found.get(name))
    # The server may write a float up to two characters longer than Python does: 0.00001 for 1e-05.
    size = len(json_of(found)) + 2 * floats
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata must have at most {MAX_METADATA_BYTES} bytes as JSON, got {size}")
    return found


def _request(request: Mapping[str, Any]) -> dict[str, Any]:
    found = _part("request", request, _REQUEST)
    for name in ("url", "method", "provider"):
        if found.get(name) is not None:
            checked_text(f"request[{name!r}]", found[name])
    body = found.get("body")
    if isinstance(body, dict):
        _check_special("request['body']['user']", body.get("user"), nested_is_fault=False)
    return found


def _response(response: Mapping[str, Any]) -> dict[str, Any]:
    found = _part("response", response, _RESPONSE)
    if found.get("status") is not None:
        status = _whole("response['status']", found["status"])
        found["status"] = int(checked_number("response['status']", status, 0, 65535))
    if found.get("response_time") is not None:
        checked_number("response['response_time']", found["response_time"], 0, _LARGEST)
    body = found.get("body")
    usage = body.get("usage") if isinstance(body, dict) else None
    counts = [each for each in usage.values() if isinstance(each, int | float)] if isinstance(usage, dict) else []
    if sum(abs(each) for each in counts) > _MOST_TOKENS:
        raise ValueError(f"response['body']['usage'] must tell at most {_MOST_TOKENS} tokens in all")
    return found


def _part(name: str, given: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a mapping with {', '.join(keys)}, got {shown(given)}")
    for key in given.keys() - set(keys):
        raise ValueError(f"{name} has the key {shown(key)}: it takes {', '.join(keys)}")
    found = dict(given)
    check_storable(found, name, _LEVELS)
    if not isinstance(found.get("headers"), dict | list | str | None):
        raise ValueError(f"{name}['headers'] must be a mapping, a list or a string, got {shown(found['headers'])}")
    return found


def _check_special(name: str, value: object, nested_is_fault: bool = True) -> None:
    if isinstance(value, dict | list | tuple):
        if nested_is_fault:
            raise ValueError(f"{name} must be a string, a number or a boolean, got {shown(value)}")
    elif value is not None:
        length = len(value) if isinstance(value, str) else len(json_of(value))
        if length > MAX_SPECIAL_CHARS:
            raise ValueError(f"{name} must have at most {MAX_SPECIAL_CHARS} characters, got {length}")


def checked_value(value: int) -> int:
    """The value of a feedback, if the server takes it."""
    whole = _whole("value", value)
    if not -10 <= whole <= 10:
        raise ValueError(f"value must be a whole number from -10 to 10, got {shown(value)}")
    return whole


def _whole(name: str, value: object) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"{name} must be a whole number, got {shown(value)}") from None


def checked_number(name: str, value: float, least: float, most: float) -> float:
    """The number, if it is one from `least` to `most`; `name` is the argument."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {shown(value)}")
    return value


def checked_text(name: str, value: object) -> str:
    """The text, if it can be stored; `name` is the argument."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got {shown(value)}")
    check_text(value, name)
    return value

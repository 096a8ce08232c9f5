"""The rules that feedback and request logs share: bulk calls, trace ids, metadata and its special fields. Pure.

Every refusal names the field; the caller that walks the items of a bulk call adds the item.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from ingest_api.errors import field_path, in_item
from ingest_api.settings import BodyLimits
from ingest_api.validation.json_limits import dump, parse, shown
from runtime.http_errors import ApiError
from schemas.ids import canonical_trace_id
from schemas.limits import MOST_SPECIAL_CHARS

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")

_POSITION = re.compile("[0-9]{1,18}")

T = TypeVar("T")


def items_of(body: Any, limits: BodyLimits) -> tuple[list[Any], bool]:
    """The items of a call, and whether it was a bulk call.

    A bulk call is an array, or what JavaScript makes of one in an object: `{"0": …, "1": …}`.
    """
    if isinstance(body, list):
        items = body
    elif isinstance(body, dict) and body and all(map(_POSITION.fullmatch, body)):
        items = [body[key] for key in sorted(body, key=lambda key: (int(key), key))]
    else:
        return [body], False
    if not items:
        raise ApiError("the array is empty: send at least one item")
    if len(items) > limits.bulk:
        raise ApiError(f"a bulk call takes at most {limits.bulk} items, got {len(items)}: send it in parts")
    return items, True


def validated(
    adapter: TypeAdapter[list[T]], items: list[Any], bulk: bool, rules: Mapping[str, str], expected: str
) -> list[T]:
    """The items as pydantic reads them; ApiError for the first fault.

    `rules` says for each field path (array indexes left out) what the field must be; `expected` what an item is.
    """
    try:
        return adapter.validate_python(items)
    except ValidationError as faults:
        fault = faults.errors(include_url=False, include_context=False)[0]
        index = fault["loc"][0]
        # No local name for it: an exception named by its own frame makes a cycle, and keeps the body in memory.
        raise _refusal(fault, rules, expected, int(index) if bulk else None) from None


def for_each_item(items: list[T], bulk: bool, decide: Callable[[int, T], None]) -> None:
    """Call `decide` with every position and item; a refusal in a bulk call names the item."""
    index = 0
    try:
        for index, item in enumerate(items):
            decide(index, item)
    except ApiError as refusal:
        raise (in_item(refusal, index) if bulk else refusal) from None


def checked_trace_id(trace_id: str, name: str, limits: BodyLimits) -> str:
    """The trace id as it is stored, if it is short enough; `name` is the field that held it."""
    if len(trace_id) > limits.trace_id_chars:
        raise ApiError(f"{name} must have at most {limits.trace_id_chars} characters, got {len(trace_id)}", name)
    return canonical_trace_id(trace_id)


def metadata_object(metadata: dict[str, Any] | str | None, name: str = "metadata") -> dict[str, Any]:
    """Metadata as an object, from an object or the JSON text of one; null is empty."""
    if metadata is None:
        return {}
    if isinstance(metadata, dict):
        return metadata
    value = parse(metadata.encode(), f"the text of {name}", name)
    if not isinstance(value, dict):
        raise ApiError(f"{name} must be an object or a string holding the JSON of one, got {shown(metadata)}", name)
    return value


def metadata_json(metadata: dict[str, Any], limits: BodyLimits) -> bytes:
    """Metadata as compact JSON, if it is small enough."""
    text = dump(metadata)
    if len(text) > limits.metadata_bytes:
        raise ApiError(f"metadata must have at most {limits.metadata_bytes} bytes as JSON, got {len(text)}", "metadata")
    return text


def validate_metadata_size(metadata: dict[str, Any], limits: BodyLimits) -> None:
    """ApiError where metadata is too large as JSON."""
    metadata_json(metadata, limits)


def specials_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The special fields that metadata carries, as text. ApiError for one that has no text or too long a one."""
    found = {}
    for name in SPECIALS:
        value = metadata.get(name)
        if value is None:
            continue
        text = special_text(value, f"metadata.{name}")
        if text is not None:
            found[name] = text
    return found


def validate_specials(metadata: Mapping[str, Any]) -> None:
    """ApiError for the first special field that has no text or too long a one."""
    specials_of(metadata)


def special_text(value: Any, name: str) -> str | None:
    """The text of a special field: a string itself, a number or boolean as JSON; None for null and ""."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        text = value
    elif isinstance(value, dict | list):
        raise ApiError(f"{name} must be a string, a number or a boolean, got {shown(value)}", name)
    else:
        text = dump(value).decode()
    if len(text) > MOST_SPECIAL_CHARS:
        raise ApiError(f"{name} must have at most {MOST_SPECIAL_CHARS} characters, got {len(text)}", name)
    return text


def home_environment(environment: str | None, limits: BodyLimits) -> str:
    """The environment to partition by: the given one if it is configured, "" if none was given, else `other`."""
    if environment is None:
        return ""
    return environment if environment in limits.environments else "other"


def _refusal(fault: ErrorDetails, rules: Mapping[str, str], expected: str, item: int | None) -> ApiError:
    """The refusal of a fault, of one item where it was a bulk call."""
    refusal = _refusal_of_one(fault, rules, expected)
    return refusal if item is None else in_item(refusal, item)


def _refusal_of_one(fault: ErrorDetails, rules: Mapping[str, str], expected: str) -> ApiError:
    names = [part for part in fault["loc"][1:] if isinstance(part, str)]
    # A union adds the names of its members; the field is the longest path that has a rule.
    while names and field_path(names) not in rules:
        names.pop()
    path = field_path(names)
    if not path:
        return ApiError(f"{expected}, got {shown(fault['input'])}")
    if fault["type"] == "missing":
        return ApiError(f"{path} is required", path)
    return ApiError(f"{path} must be {rules[path]}, got {shown(fault['input'])}", path)

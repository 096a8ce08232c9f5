"""JSON that the server stores as it is sent: the values that it would refuse are refused here, at once.

Pure. Every refusal is a ValueError that names the argument.
"""

import json
from math import isfinite

MAX_DEPTH = 100
"""Levels of arrays and objects in a whole call."""
MAX_CONTAINERS = 199_000
"""Arrays and objects in one item; a whole call may have 200,000."""


def check_storable(value: object, name: str, levels: int) -> int:
    """ValueError unless the value is JSON of at most so many levels; how many floats it holds."""
    level, containers, floats = [value], 0, 0
    for depth in range(levels + 1):
        inner: list[object] = []
        nested = [each for each in level if isinstance(each, dict | list | tuple)]
        containers += len(nested)
        if containers > MAX_CONTAINERS:
            raise ValueError(f"{name} holds more than {MAX_CONTAINERS} arrays and objects")
        if nested and depth == levels:
            raise ValueError(f"{name} is nested deeper than {levels} levels")
        for container in nested:
            if isinstance(container, dict):
                _check_keys(container, name)
            inner += container.values() if isinstance(container, dict) else container
        for each in level:
            _check_plain(each, name)
        floats += sum(isinstance(each, float) for each in level)
        if not inner:
            break
        level = inner
    return floats


def check_text(text: str, name: str) -> None:
    """ValueError for what cannot be stored: a NUL character, and half of a surrogate pair."""
    if "\0" in text:
        raise ValueError(f"{name} holds a NUL character, which cannot be stored")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half of a surrogate pair, which is no character") from None


def json_of(value: object) -> bytes:
    """Compact JSON of a storable value."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def shown(value: object) -> str:
    """A value as a refusal quotes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _check_keys(value: dict[object, object], name: str) -> None:
    for key in value:
        if not isinstance(key, str):
            raise ValueError(f"{name} has the key {shown(key)}: keys must be strings")
        check_text(key, name)


def _check_plain(value: object, name: str) -> None:
    if isinstance(value, str):
        check_text(value, name)
    elif isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{name} holds {value}, which JSON cannot say: leave it out or send None")
    elif isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            raise ValueError(f"{name} holds an integer beyond 1.8e308, which is too large to store") from None
    elif value is not None and not isinstance(value, dict | list | tuple):
        raise ValueError(f"{name} must hold JSON values alone, got {type(value).__name__}")

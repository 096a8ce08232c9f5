"""Reads and writes JSON, such that what comes in can be passed on exactly.

`parse` refuses whatever cannot be stored as it was sent: NaN, infinities, lone surrogates, NUL characters, a key that
appears twice in one object, nesting too deep for readers downstream, and more arrays and objects than can be checked
while other calls wait. Integers of any length are preserved.
"""

import json
import re
from collections.abc import Callable, Iterable
from itertools import compress, count
from math import isinf
from operator import itemgetter, ne
from typing import Any

import msgspec

from ingest_api.errors import field_path
from runtime.http_errors import ApiError

MAX_DEPTH = 100
MAX_CONTAINERS = 200_000
MAX_KEYS_COMPARED = 100_000
"""With more keys than this, a refusal does not name the duplicate: finding it takes several times the reading."""

# Possessive, and it accepts a string that does not end, so that no text is scanned twice.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
# A tuple, because isinstance is several times as slow with a new union.
_CONTAINERS = (dict, list)

# An integer with more digits is too large for a float, which is what readers downstream make of it.
_MOST_DIGITS = 308
# A run of more digits than that fills a block of this size completely, wherever the blocks begin.
_BLOCK = (_MOST_DIGITS + 2) // 2
_NUMBER = re.compile(rb"[-+.eE\d]+")

_FAULT_AT = re.compile(r"^JSON is malformed: (.*) \(byte (\d+)\)$")


def parse(raw: bytes, what: str = "the body", within: str | None = None, *, allow_nul: bool = False) -> Any:
    """The value of a JSON text; ApiError, naming line and column, if it is not JSON.

    `what` is what a refusal calls the text, `within` the field that held it. With `allow_nul`, whoever calls this
    refuses the parts that hold NUL characters.
    """
    if _has_more(container_count, raw, MAX_CONTAINERS):
        raise ApiError(f"{what} holds more than {MAX_CONTAINERS} arrays and objects: send it in parts", within)
    if may_hold_a_huge_number(raw) and _holds_a_huge_integer(raw):
        raise ApiError(f"{what} is not JSON: it holds an integer too large for a 64-bit float", within)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        if not raw.strip():
            raise ApiError(f"{what} is empty, JSON is expected", within) from None
        raise ApiError(f"{what} is not JSON: {_fault_in(raw, fault)}", within) from None
    except RecursionError:
        raise ApiError(f"{what} is nested deeper than {MAX_DEPTH} levels", within) from None
    if container_count(raw) > MAX_DEPTH and is_deeper_than(value, MAX_DEPTH):
        raise ApiError(f"{what} is nested deeper than {MAX_DEPTH} levels", within)
    if colon_count(raw) != dump(value).count(b":"):
        _refuse_duplicate_key(raw, value, what, within)
    if (
        not allow_nul
        and escape_count(raw, b"u0000")
        and (place := _nul_at(value, [within] if within else [])) is not None
    ):
        path = field_path(place)
        raise ApiError(f"{path or what} holds a NUL character (\\u0000), which cannot be stored", path or None)
    return value


def colon_count(raw: bytes) -> int:
    """The number of colons in a JSON text, escaped ones included.

    It equals the number in the parsed value, written as JSON again, if and only if no key appeared twice in an object.
    """
    return raw.count(b":") + escape_count(raw, b"u003a", b"u003A")


def escape_count(raw: bytes, *codes: bytes) -> int:
    """How often any of the codes follows a backslash that is not itself escaped."""
    if b"\\" not in raw or not any(code in raw for code in codes):
        return 0
    # Pairs are removed from the left of a run of backslashes, so what remains of the run is the one that escapes.
    unpaired = raw.replace(b"\\\\", b"")
    return sum(unpaired.count(b"\\" + code) for code in codes)


def container_count(raw: bytes) -> int:
    """The most arrays and objects that a JSON text can have; exact if its strings hold no brackets."""
    return raw.count(b"[") + raw.count(b"{")


def _has_more(counted: Callable[[bytes], int], raw: bytes, most: int) -> bool:
    """Whether there are more outside the strings of a text; the strings are removed only if that matters."""
    return counted(raw) > most and counted(_STRING.sub(b"", raw)) > most


def may_hold_a_huge_number(raw: bytes) -> bool:
    """Whether a JSON text has as many digits in a row as an integer too large for a float; it may be in a string."""
    # A regular expression took more than a quarter of the whole time of an event in a bulk call.
    return len(raw) > _MOST_DIGITS and any(
        raw[start : start + _BLOCK].isdigit() for start in range(0, len(raw), _BLOCK)
    )


def _holds_a_huge_integer(raw: bytes) -> bool:
    numbers = (found[0].removeprefix(b"-") for found in _NUMBER.finditer(_STRING.sub(b"", raw)))
    return any(len(each) > _MOST_DIGITS and each.isdigit() and isinf(float(each)) for each in numbers)


def _fault_in(raw: bytes, fault: msgspec.DecodeError | UnicodeDecodeError) -> str:
    """What is wrong with a text that is not JSON, and at which line and column if that is known."""
    if isinstance(fault, UnicodeDecodeError):
        try:
            raw.decode()
        except UnicodeDecodeError as first:
            return f"it is not UTF-8 {_position(raw, first.start)}"
    if found := _FAULT_AT.match(str(fault)):
        return f"{found[1]} {_position(raw, int(found[2]))}"
    if isinstance(fault, msgspec.ValidationError):
        return "it holds a number too large for a 64-bit float"
    return f"it ends too early {_position(raw, len(raw))}"


def _position(raw: bytes, byte: int) -> str:
    before = raw[:byte].decode(errors="replace")
    return f"at line {before.count(chr(10)) + 1} column {len(before) - before.rfind(chr(10))}"


def object_in_text(value: Any) -> Any:
    """The object whose JSON is in a string, as LlamaIndex's handler sends it; any other value unchanged."""
    if isinstance(value, str):
        try:
            inner = parse(value.encode())
        except ApiError:
            return value
        return inner if isinstance(inner, dict) else value
    return value


def dump(value: Any) -> bytes:
    """Compact JSON of a parsed value."""
    return msgspec.json.encode(value)


def shown(value: Any, longest: int = 60) -> str:
    """A value as a refusal quotes it: JSON, cut where it is long."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    text = dump(value).decode()
    return text if len(text) <= longest else text[: longest - 1] + "…"


def is_deeper_than(value: Any, limit: int) -> bool:
    """Whether arrays and objects are nested in a value more than `limit` deep."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, _CONTAINERS)
        ]
    return bool(level)


def _refuse_duplicate_key(raw: bytes, value: Any, what: str, within: str | None) -> None:
    if _has_more(colon_count, raw, MAX_KEYS_COMPARED):
        raise ApiError(
            f"{what} has an object in which a key appears twice: send it once"
            f" (this message names the key in bodies of up to {MAX_KEYS_COMPARED} keys: send fewer at a time)",
            within,
        )
    try:
        # `list` keeps all members of an object, as pairs of key and value.
        place = _duplicate_at(json.loads(raw, object_pairs_hook=list), value, [within] if within else [])
    except RecursionError:
        raise ApiError(f"{what} is nested deeper than {MAX_DEPTH} levels", within) from None
    if place is not None:
        path = field_path(place)
        raise ApiError(f"{path} appears twice in one object: send it once", path)


def _duplicate_at(written: Any, value: Any, place: list[str | int]) -> list[str | int] | None:
    """The path of a key that appears twice in `written`; `value` is the same with every key once."""
    if isinstance(value, dict):
        if len(written) != len(value):
            # Keys are kept in the order of their first appearance, so the first that differs is a duplicate.
            differ = map(ne, map(itemgetter(0), written), value)
            return [*place, written[next(compress(count(), differ), len(value))][0]]
        inside: Iterable[tuple[str | int, Any, Any]] = (
            (key, inner, value[key]) for key, inner in written if isinstance(value[key], _CONTAINERS)
        )
    elif isinstance(value, list):
        inside = ((index, inner, value[index]) for index, inner in enumerate(written))
    else:
        return None
    for key, inner, kept in inside:
        if (found := _duplicate_at(inner, kept, [*place, key])) is not None:
            return found
    return None


def _nul_at(value: Any, place: list[str | int]) -> list[str | int] | None:
    if isinstance(value, str):
        return place if "\0" in value else None
    inside: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in inside:
        if isinstance(key, str) and "\0" in key:
            return [*place, key.replace("\0", "\\u0000")]
        if isinstance(inner, str):
            if "\0" in inner:
                return [*place, key]
        elif isinstance(inner, _CONTAINERS) and (found := _nul_at(inner, [*place, key])) is not None:
            return found
    return None

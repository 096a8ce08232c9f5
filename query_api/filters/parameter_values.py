"""Values of parameters: ranges, lists, times, ids and truth values, from a query string or a JSON body.

Pure. Each fault is an ApiError that names its parameter. Nothing takes work that grows faster than the text.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import msgspec

from runtime.http_errors import ApiError
from runtime.times import parse_time
from schemas.ids import id_in

MAX_VALUES = 100
"""Of one parameter."""
_MOST_TIME_CHARS, _MOST_NUMBER_CHARS = 64, 64

_OFFSET = re.compile(r"\d\d(:?\d\d)?")


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; None where there is no limit."""

    least: Decimal | None = None
    most: Decimal | None = None


def shown(value: Any) -> str:
    """A value as a refusal quotes it: JSON, cut where it is long."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    whole = value.encode(errors="replace").decode() if isinstance(value, str) else value
    text = msgspec.json.encode(whole, enc_hook=str).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def time_of(value: Any, name: str) -> datetime:
    """An ISO 8601 time in UTC, a part of a millisecond counting as a whole one; ApiError naming the parameter."""
    text = value.strip() if isinstance(value, str) and len(value) <= _MOST_TIME_CHARS else ""
    # A plus sign that was not escaped in a query string comes as a space.
    before, _, offset = text.rpartition(" ")
    if ":" in before and _OFFSET.fullmatch(offset):
        text = f"{before}+{offset}"
    try:
        at = parse_time(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ApiError(
            f"{name} must be an ISO 8601 time such as 2026-11-01T00:00:00Z, got {shown(value)}", name
        ) from None
    if not 2000 <= at.year < 2100:
        raise ApiError(f"{name} must be between the years 2000 and 2100, got {shown(value)}", name)
    return at + timedelta(microseconds=-at.microsecond % 1000)


def range_of(given: Mapping[str, Any], name: str, *, whole: bool = False) -> Range:
    """What `name_min` and `name_max` say; ApiError naming the one at fault."""
    least, most = (
        _number(given[f"{name}_{end}"], f"{name}_{end}", whole=whole) if f"{name}_{end}" in given else None
        for end in ("min", "max")
    )
    if least is not None and most is not None and least > most:
        raise ApiError(f"{name}_max must not be less than {name}_min", f"{name}_max")
    return Range(least, most)


def _number(value: Any, name: str, *, whole: bool) -> Decimal:
    try:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise InvalidOperation
        if len(text := str(value).strip()) > _MOST_NUMBER_CHARS:
            raise InvalidOperation
        number = Decimal(text)
        if not number.is_finite() or abs(number) >= 10**15 or (whole and number != int(number)):
            raise InvalidOperation
    except InvalidOperation:
        kind = "a whole number" if whole else "a number"
        raise ApiError(f"{name} must be {kind} below 10^15, got {shown(value)}", name) from None
    return number


def values_of(value: Any, name: str) -> tuple[str, ...]:
    """A list as it is, anything else as text with commas; ApiError naming the parameter."""
    items: Iterable[Any] = value if isinstance(value, list | tuple) else str(value).split(",")
    values = tuple(dict.fromkeys(str(item).strip() for item in items))
    if not values or "" in values:
        raise ApiError(f"{name} must not be empty: leave it out to ask for all", name)
    if len(values) > MAX_VALUES:
        raise ApiError(f"{name} must be at most {MAX_VALUES} values, got {len(values)}", name)
    return values


def texts_of(value: Any, name: str) -> tuple[str, ...]:
    """The texts asked for; ApiError naming the parameter.

    A text may also be one value as it is: nothing forbids commas in an id, or blanks at its ends.
    """
    if isinstance(value, bool | dict) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        raise ApiError(f"{name} must be text, or a list of it, got {shown(value)}", name)
    as_sent = value if isinstance(value, list) else [str(value)]
    return tuple(dict.fromkeys((*values_of(value, name), *as_sent)))


def truth_of(value: Any, name: str) -> bool:
    """True or false; ApiError naming the parameter."""
    known = {"true": True, "false": False}
    text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else ""
    if text not in known:
        raise ApiError(f"{name} must be true or false, got {shown(value)}", name)
    return known[text]


def ids_of(value: Any, name: str) -> tuple[UUID, ...]:
    """UUIDs, from text with commas or a list; ApiError naming the parameter."""
    found = []
    for text in values_of(value, name):
        if (identity := id_in(text)) is None:
            raise ApiError(f"{name} must be a UUID, or several with commas, got {shown(text)}", name)
        found.append(identity)
    return tuple(found)

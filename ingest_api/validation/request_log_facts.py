"""Reads the facts of a request log: model, tokens and time. Pure.

Reading a body is lenient, because the provider defines its form and not this API.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ingest_api.validation.json_limits import object_in_text, shown
from ingest_api.validation.numbers import number
from runtime.http_errors import ApiError
from runtime.times import parse_time, rfc3339, unix_ms
from schemas.limits import FIRST_YEAR, HIGHEST_TOKENS, LAST_YEAR

_BEGIN_MS = unix_ms(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC))
_END_MS = unix_ms(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC))
# A Unix time of seconds is below this for 3,000 years to come, one of milliseconds has been above it since 1973.
_SECONDS_BELOW = 100_000_000_000


def body_object(body: Any) -> dict[str, Any]:
    """The object that a body is, or whose JSON it holds; empty for any other body."""
    body = object_in_text(body)
    return body if isinstance(body, dict) else {}


def model_of(request: Mapping[str, Any], response: Mapping[str, Any]) -> str | None:
    """The model of the request, or else that of the response."""
    for body in (request, response):
        model = body.get("model")
        if isinstance(model, str) and model:
            return model
    return None


def tokens_of(response: Mapping[str, Any]) -> dict[str, int]:
    """Those of `prompt_tokens`, `completion_tokens` and `total_tokens` that the usage of a response has.

    ApiError for an impossibly large count: without an error, it would silently be missing from sums.
    """
    usage = response.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts = {
        "prompt_tokens": _count(usage, "prompt_tokens", "input_tokens"),
        "completion_tokens": _count(usage, "completion_tokens", "output_tokens"),
    }
    total = _count(usage, "total_tokens")
    parts = [count for count in counts.values() if count is not None]
    counts["total_tokens"] = _checked(sum(parts), "usage") if total is None and parts else total
    return {name: count for name, count in counts.items() if count is not None}


def time_of(value: str | float, name: str) -> str:
    """A time as RFC 3339 in UTC; ApiError naming the field unless it is one between 2000 and 2100."""
    at_ms = _unix_ms(value)
    if at_ms is None:
        raise ApiError(
            f"{name} must be a time in RFC 3339 or in Unix seconds or milliseconds, got {shown(value)}", name
        )
    return rfc3339(time_in_range(at_ms, name, value))


def time_in_range(at_ms: int, name: str, given: str | float | None = None) -> int:
    """The time in Unix milliseconds, if it is between 2000 and 2100; ApiError naming the field, and what was given."""
    if not _BEGIN_MS <= at_ms < _END_MS:
        quoted = shown(at_ms if given is None else given)
        raise ApiError(f"{name} must be between the years {FIRST_YEAR} and {LAST_YEAR + 1}, got {quoted}", name)
    return at_ms


def _unix_ms(value: str | float) -> int | None:
    if isinstance(value, str):
        try:
            value = number(value)
        except ValueError:
            return _written_ms(str(value))
    assert not isinstance(value, str)
    # Beyond these bounds no time is in range anyway, and infinity cannot be rounded.
    bounded = max(-1e18, min(1e18, value))
    return round(bounded * 1000 if abs(bounded) < _SECONDS_BELOW else bounded)


def _written_ms(text: str) -> int | None:
    try:
        return unix_ms(parse_time(text.strip()))
    except ValueError:
        return None


def _count(usage: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value):
            return _checked(int(value), f"usage.{name}")
    return None


def _checked(count: int, name: str) -> int:
    if count > HIGHEST_TOKENS:
        field = f"response.body.{name}"
        raise ApiError(f"{field} must be at most {HIGHEST_TOKENS} tokens, got {shown(count)}", field)
    return count

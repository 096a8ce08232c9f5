"""What may be asked of requests and of their feedback: Portkey's filter parameters as one structure.

Pure. Read from a query string or from the `filters` object of a JSON body, whose values may be numbers, lists and
objects besides text. Each fault is a QueryError that names its parameter, and so is a parameter that nobody knows: a
filter that is left out in silence would give wrong numbers. `query_api/filter_conditions.py` says what filters mean in
SQL.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from starlette.datastructures import QueryParams

from query_api.answers import QueryError

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
MAX_VALUES = 100
"""Of one parameter."""
_MOST_TIME_CHARS, _MOST_NUMBER_CHARS = 64, 64

_OFFSET = re.compile(r"\d\d(:?\d\d)?")

_TIMES = {
    "time_of_generation_min": "From when on, ISO 8601; UTC where no offset is said.",
    "time_of_generation_max": "Until when, exclusive, ISO 8601; UTC where no offset is said.",
}
_RANGES = {
    "total_units": ("Tokens of the request", "100"),
    "prompt_token": ("Tokens in", "10"),
    "completion_token": ("Tokens out", "10"),
    "cost": ("Cost of the request in US cents", "0.5"),
    "weighted_feedback": ("Mean of value × weight over the feedback of the trace; none without feedback", "-0.5"),
}
_COUNTS = ("total_units", "prompt_token", "completion_token")
_TEXTS = {
    "ai_model": ("Models", "gpt-4o,gpt-4o-mini"),
    "ai_org": ("Providers", "openai"),
    "trace_id": ("Trace ids", "request-4711"),
    "span_id": ("Span ids", "span-1"),
    "prompt_slug": ("Prompts, the special field `_prompt`", "greeting"),
    "user": ("Users, the special field `_user`", "user-7"),
    "organisation": ("Organisations, the special field `_organisation`", "acme"),
    "environment": ("Environments, the special field `_environment`", "production"),
}
_OTHERS = {
    "workspace_slug": ("The caller's own workspace; another is refused.", "default"),
    "status_code": ("HTTP status of the answer, or several with commas.", "200,429"),
    "ai_org_model": ("Provider and model with two underscores between, or several with commas.", "openai__gpt-4o"),
    "metadata": ("JSON of an object: what each key must be, as text, number or boolean.", '{"_user": "user-7"}'),
}
NAMES = frozenset([*_TIMES, *(f"{name}_{end}" for name in _RANGES for end in ("min", "max")), *_TEXTS, *_OTHERS])


@dataclass(frozen=True)
class Range:
    """From `least` to `most`, both included; None where there is no limit."""

    least: Decimal | None = None
    most: Decimal | None = None


@dataclass(frozen=True)
class LogFilters:
    """What must hold of a request, or of feedback, to be in the answer. Mappings are by name: `cost`, `ai_model`."""

    workspace: str
    since: datetime | None = None
    """Whole milliseconds, UTC; included."""
    until: datetime | None = None
    """Whole milliseconds, UTC; not included."""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Any of these."""
    statuses: tuple[int, ...] = ()
    provider_models: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Each of these keys must be this text; the special fields may be empty, and so ask for what has none."""

    @property
    def ask_about_feedback(self) -> bool:
        """Whether the answer tells something about feedback, whatever it lists."""
        return "weighted_feedback" in self.ranges


def filters_in_query(
    query: QueryParams, workspace: str, others: Collection[str] = (), *, time_required: bool = False
) -> LogFilters:
    """The filters of a query string; `others` are parameters that the route takes besides. Raises QueryError."""
    given: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        if name not in others:
            given.setdefault(name, []).append(value)
    return filters_in(
        {name: values[0] if len(values) == 1 else values for name, values in given.items()},
        workspace,
        time_required=time_required,
    )


def filters_in(given: Mapping[str, Any], workspace: str, *, time_required: bool = False) -> LogFilters:
    """The filters of an object; null is the same as missing. Raises QueryError."""
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in NAMES:
            raise QueryError(f"{shown(name)} is no parameter here: take {', '.join(sorted(NAMES))}", name[:60])
    if str(given.get("workspace_slug", workspace)) != workspace:
        raise QueryError("this caller may not read the workspace", "workspace_slug", status=403)
    for name in _TIMES if time_required else ():
        if name not in given:
            raise QueryError(f"{name} is required, as in 2026-11-01T00:00:00Z", name)
    since, until = (time_of(given[name], name) if name in given else None for name in _TIMES)
    if since and until and since >= until:
        raise QueryError("time_of_generation_max must be later than time_of_generation_min", "time_of_generation_max")
    return LogFilters(
        workspace=workspace,
        since=since,
        until=until,
        ranges={name: _range(given, name) for name in _RANGES if f"{name}_min" in given or f"{name}_max" in given},
        texts={name: _texts(given[name], name) for name in _TEXTS if name in given},
        statuses=tuple(map(_status, _values(given["status_code"], "status_code"))) if "status_code" in given else (),
        provider_models=tuple(map(_pair, _values(given["ai_org_model"], "ai_org_model")))
        if "ai_org_model" in given
        else (),
        metadata=_metadata(given.get("metadata", {})),
    )


def openapi_parameters(*, time_required: bool = False) -> list[dict[str, Any]]:
    """The filters as parameters of an OpenAPI operation."""
    months = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    told = {name: (about, month) for (name, about), month in zip(_TIMES.items(), months, strict=True)}
    for name, (about, example) in _RANGES.items():
        told |= {f"{name}_min": (f"{about}: at least.", example), f"{name}_max": (f"{about}: at most.", example)}
    told |= {name: (f"{about}: one, or several with commas.", example) for name, (about, example) in _TEXTS.items()}
    return [
        parameter(name, about, example, required=time_required and name in _TIMES)
        for name, (about, example) in (told | _OTHERS).items()
    ]


def parameter(name: str, about: str, example: Any, *, required: bool = False) -> dict[str, Any]:
    """One query parameter of an OpenAPI operation."""
    schema = {"type": "integer" if isinstance(example, int) else "string"}
    return {
        "name": name, "in": "query", "required": required, "description": about, "schema": schema, "example": example
    }  # fmt: skip


def shown(value: Any) -> str:
    """A value as a refusal quotes it: JSON, cut where it is long."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else "a list"
    text = json.dumps(value, ensure_ascii=False, default=str).encode(errors="replace").decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def time_of(value: Any, name: str) -> datetime:
    """An ISO 8601 time in UTC, a part of a millisecond counting as a whole one; QueryError naming the parameter."""
    text = value.strip() if isinstance(value, str) and len(value) <= _MOST_TIME_CHARS else ""
    # A plus sign that was not escaped in a query string comes as a space.
    before, _, offset = text.rpartition(" ")
    if ":" in before and _OFFSET.fullmatch(offset):
        text = f"{before}+{offset}"
    try:
        at = datetime.fromisoformat(text.upper())
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QueryError(
            f"{name} must be an ISO 8601 time such as 2026-11-01T00:00:00Z, got {shown(value)}", name
        ) from None
    if not 2000 <= at.year < 2100:
        raise QueryError(f"{name} must be between the years 2000 and 2100, got {shown(value)}", name)
    return at + timedelta(microseconds=-at.microsecond % 1000)


def _range(given: Mapping[str, Any], name: str) -> Range:
    least, most = (
        _number(given[f"{name}_{end}"], f"{name}_{end}", whole=name in _COUNTS) if f"{name}_{end}" in given else None
        for end in ("min", "max")
    )
    if least is not None and most is not None and least > most:
        raise QueryError(f"{name}_max must not be less than {name}_min", f"{name}_max")
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
        raise QueryError(f"{name} must be {kind} below 10^15, got {shown(value)}", name) from None
    return number


def _values(value: Any, name: str) -> tuple[str, ...]:
    """A list as it is, anything else as text with commas."""
    items: Iterable[Any] = value if isinstance(value, list | tuple) else str(value).split(",")
    values = tuple(dict.fromkeys(str(item).strip() for item in items))
    if not values or "" in values:
        raise QueryError(f"{name} must not be empty: leave it out to ask for all", name)
    if len(values) > MAX_VALUES:
        raise QueryError(f"{name} must be at most {MAX_VALUES} values, got {len(values)}", name)
    return values


def _texts(value: Any, name: str) -> tuple[str, ...]:
    """The values asked for. A text with commas may also be one value: nothing forbids a comma in an id."""
    if isinstance(value, bool | dict) or (isinstance(value, list) and not all(isinstance(item, str) for item in value)):
        raise QueryError(f"{name} must be text, or a list of it, got {shown(value)}", name)
    values = _values(value, name)
    return values if len(values) == 1 or isinstance(value, list) else (*values, str(value))


def _status(value: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", value) or int(value) > 65535:
        raise QueryError(
            f"status_code must be an HTTP status, or several with commas, got {shown(value)}", "status_code"
        )
    return int(value)


def _pair(value: str) -> tuple[str, str]:
    provider, joint, model = value.partition("__")
    if not (provider and joint and model):
        raise QueryError(
            f"ai_org_model must be provider__model, or several with commas, got {shown(value)}", "ai_org_model"
        )
    return provider, model


def _metadata(given: Any) -> dict[str, str]:
    wanted = given
    if isinstance(given, str):
        try:
            wanted = orjson.loads(given)
        except orjson.JSONDecodeError:
            wanted = None
    if not isinstance(wanted, dict):
        raise QueryError(f"metadata must be the JSON of an object, got {shown(given)}", "metadata")
    if len(wanted) > MAX_VALUES:
        raise QueryError(f"metadata must have at most {MAX_VALUES} keys, got {len(wanted)}", "metadata")
    return {key: _wanted(key, value) for key, value in wanted.items()}


def _wanted(key: str, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise QueryError(f"metadata: {shown(key)} must be text, a number or a boolean, got {shown(value)}", "metadata")
    if value == "" and key not in SPECIALS:
        raise QueryError(f"metadata: {shown(key)} must not be empty", "metadata")
    # ClickHouse writes 1.0 as 1 when it takes a number from JSON.
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return value if isinstance(value, str) else json.dumps(int(value) if whole else value)

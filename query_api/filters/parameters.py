"""What may be asked of requests and of their feedback: Portkey's filter parameters as one structure.

Pure. Read from a query string or from the `filters` object of a JSON body, whose values may be numbers, lists and
objects besides text. Each fault is an ApiError that names its parameter, and so is a parameter that nobody knows: a
filter that is left out in silence would give wrong numbers. `query_api/filters/conditions.py` says what filters mean in
SQL.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from starlette.datastructures import QueryParams

from query_api.filters.parameter_values import (
    Range,
    ids_of,
    range_of,
    shown,
    texts_of,
    time_of,
    truth_of,
    values_of,
)
from runtime.http_errors import ApiError
from schemas.ids import canonical_trace_id

SPECIALS = ("_user", "_organisation", "_prompt", "_environment")

_TIMES = {
    "time_of_generation_min": "From when on, ISO 8601; UTC where no offset is said.",
    "time_of_generation_max": "Until when, exclusive, ISO 8601; UTC where no offset is said.",
}
_RANGES = {
    "total_units": ("Tokens of the request", "100"),
    "prompt_token": ("Tokens in", "10"),
    "completion_token": ("Tokens out", "10"),
    "cost": ("Cost of the request in US cents", "0.5"),
    "response_time": ("Milliseconds until the answer was complete", "800"),
    "weighted_feedback": ("Mean of value × weight over the feedback of the trace; none without feedback", "-0.5"),
}
_AN_ID = "01970000-0000-8000-8000-9b11edf90000"
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
    "request_id": ("Ids that `POST /v1/logs` answered with: one, or several with commas.", _AN_ID),
    "has_feedback": ("Whether the trace has feedback that stands: true or false.", "true"),
    "metadata": ("JSON of an object: what each key must be, as text, number or boolean.", '{"_user": "user-7"}'),
}
NAMES = frozenset([*_TIMES, *(f"{name}_{end}" for name in _RANGES for end in ("min", "max")), *_TEXTS, *_OTHERS])
MOST_KEYS = 20
"""Of metadata: each is looked for in the metadata of feedback and of requests, and for each field of facets again."""
ABOUT_FEEDBACK = frozenset({"weighted_feedback_min", "weighted_feedback_max", "has_feedback"})
"""Filters by which an answer tells something about feedback, whatever it lists."""


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
    request_ids: tuple[UUID, ...] = ()
    has_feedback: bool | None = None
    """Whether the trace has feedback that stands; None where it does not matter."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Each of these keys must be this text; the special fields may be empty, and so ask for what has none."""
    own_metadata_alone: bool = False
    """Of feedback: that a request on its trace says so under the key does not count."""

    @property
    def ask_about_feedback(self) -> bool:
        """Whether the answer tells something about feedback, whatever it lists."""
        return "weighted_feedback" in self.ranges or self.has_feedback is not None


def filters_in_query(
    query: QueryParams, workspace: str, others: Collection[str] = (), *, time_required: bool = False
) -> LogFilters:
    """The filters of a query string; `others` are parameters that the route takes besides. Raises ApiError."""
    return filters_in(object_in_query(query, others), workspace, time_required=time_required)


def object_in_query(query: QueryParams, others: Collection[str] = ()) -> dict[str, Any]:
    """The parameters of a query string but for `others`; what comes more than once is a list."""
    given: dict[str, list[str]] = {}
    for name, value in query.multi_items():
        if name not in others:
            given.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in given.items()}


def filters_in(
    given: Mapping[str, Any], workspace: str, *, time_required: bool = False, others: Collection[str] = ()
) -> LogFilters:
    """The filters of an object; null is the same as missing. `others` are named where a name is unknown. ApiError."""
    given = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in NAMES:
            raise ApiError(
                f"unknown parameter {shown(name)}, allowed: {', '.join(sorted(NAMES.union(others)))}", name[:60]
            )
    if str(given.get("workspace_slug", workspace)) != workspace:
        raise ApiError("this caller may not read the workspace", "workspace_slug", status=403)
    for name in _TIMES if time_required else ():
        if name not in given:
            raise ApiError(f"{name} is required, as in 2026-11-01T00:00:00Z", name)
    since, until = (time_of(given[name], name) if name in given else None for name in _TIMES)
    if since and until and since >= until:
        raise ApiError("time_of_generation_max must be later than time_of_generation_min", "time_of_generation_max")
    return LogFilters(
        workspace=workspace,
        since=since,
        until=until,
        ranges={
            name: range_of(given, name, whole=name in _COUNTS)
            for name in _RANGES
            if f"{name}_min" in given or f"{name}_max" in given
        },
        texts={name: _texts(given[name], name) for name in _TEXTS if name in given},
        statuses=tuple(map(_status, _listed(given, "status_code"))),
        provider_models=tuple(map(_pair, _listed(given, "ai_org_model"))),
        request_ids=ids_of(given["request_id"], "request_id") if "request_id" in given else (),
        has_feedback=truth_of(given["has_feedback"], "has_feedback") if "has_feedback" in given else None,
        metadata=_metadata(given.get("metadata", {})),
    )


def openapi_parameters(*, time_required: bool = False) -> list[dict[str, Any]]:
    """The filters as parameters of an OpenAPI operation."""
    months = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
    described = {name: (about, month) for (name, about), month in zip(_TIMES.items(), months, strict=True)}
    for name, (about, example) in _RANGES.items():
        described |= {f"{name}_min": (f"{about}: at least.", example), f"{name}_max": (f"{about}: at most.", example)}
    described |= {
        name: (f"{about}: one, or several with commas.", example) for name, (about, example) in _TEXTS.items()
    }
    return [
        parameter(name, about, example, required=time_required and name in _TIMES)
        for name, (about, example) in (described | _OTHERS).items()
    ]


def parameter(name: str, about: str, example: Any, *, required: bool = False) -> dict[str, Any]:
    """One query parameter of an OpenAPI operation."""
    schema = {"type": "integer" if isinstance(example, int) else "string"}
    return {
        "name": name, "in": "query", "required": required, "description": about, "schema": schema, "example": example
    }  # fmt: skip


def _listed(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return values_of(given[name], name) if name in given else ()


def _texts(given: Any, name: str) -> tuple[str, ...]:
    texts = texts_of(given, name)
    if name != "trace_id":
        return texts
    # As they are now stored, and as earlier versions stored them.
    return tuple(dict.fromkeys((*texts, *map(canonical_trace_id, texts))))


def _status(value: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", value) or int(value) > 65535:
        raise ApiError(f"status_code must be an HTTP status, or several with commas, got {shown(value)}", "status_code")
    return int(value)


def _pair(value: str) -> tuple[str, str]:
    provider, joint, model = value.partition("__")
    if not (provider and joint and model):
        raise ApiError(
            f"ai_org_model must be provider__model, or several with commas, got {shown(value)}", "ai_org_model"
        )
    return provider, model


def _metadata(given: Any) -> dict[str, str]:
    wanted = given
    if isinstance(given, str):
        try:
            wanted = msgspec.json.decode(given)
        except (ValueError, RecursionError):
            wanted = None
    if not isinstance(wanted, dict):
        raise ApiError(f"metadata must be the JSON of an object, got {shown(given)}", "metadata")
    if len(wanted) > MOST_KEYS:
        raise ApiError(f"metadata must have at most {MOST_KEYS} keys, got {len(wanted)}", "metadata")
    return {key: _wanted(key, value) for key, value in wanted.items()}


def _wanted(key: str, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise ApiError(f"metadata: {shown(key)} must be text, a number or a boolean, got {shown(value)}", "metadata")
    if value == "" and key not in SPECIALS:
        raise ApiError(f"metadata: {shown(key)} must not be empty", "metadata")
    # ClickHouse writes 1.0 as 1 when it takes a number from JSON.
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    return value if isinstance(value, str) else msgspec.json.encode(int(value) if whole else value).decode()

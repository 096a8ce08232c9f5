"""Fields whose values can be counted, under the names of the filters that take these values.

Pure. A field knows its SQL and its own filter, which does not narrow it: so whoever has chosen one value sees what else
there is to choose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import QueryParams

from query_api.filters.feedback_conditions import JOIN_STATE
from query_api.filters.feedback_parameters import COMMENT_KEY, FeedbackFilters
from query_api.filters.parameter_values import Range, shown, values_of
from query_api.filters.parameters import SPECIALS, LogFilters, parameter
from runtime.http_errors import ApiError

MOST_FIELDS, MOST_VALUES, MOST_CHARS = 20, 100, 200
PARAMETERS = ("fields", "limit", "contains", "newest")
MOST_NEWEST = 99_999_999
MOST_FILTERED = 10
"""Fields whose own filter is given: each is a query of its own, under the filters of all others."""

_LIMIT = 10
OF_A_KEY = "metadata."
_SPECIAL_OF = {
    "prompt_slug": "_prompt",
    "user": "_user",
    "organisation": "_organisation",
    "environment": "_environment",
}
_FILTER_OF = {key: name for name, key in _SPECIAL_OF.items()}
_KEYS = "JSONExtractKeys(metadata)"
_LISTS = {_KEYS, "models", "providers"}
OF_REQUESTS: Mapping[str, str] = {
    "ai_model": "model",
    "ai_org": "provider",
    **_SPECIAL_OF,
    "status_code": "toString(status)",
    "metadata": _KEYS,
}
"""SQL over a row `r` of feedback.request_logs, by field."""
OF_FEEDBACK: Mapping[str, str] = {
    "value": "toString(r.value)",
    "join_state": JOIN_STATE.format(row="r"),
    "ai_model": "models",
    "ai_org": "providers",
    **_SPECIAL_OF,
    "metadata": _KEYS,
}
"""SQL over a row `r` of feedback.feedback, by field."""


@dataclass(frozen=True)
class FacetField:
    """One field: its value in a row, or a list of values that each count; empty text is none."""

    name: str
    sql: str
    is_list: bool
    parameters: Mapping[str, str]

    def without_own_filter(self, filters: LogFilters) -> LogFilters:
        """The filters that narrow the counts of this field."""
        key = _SPECIAL_OF.get(self.name, self.key)
        own = {self.name, _FILTER_OF.get(key)}
        return replace(
            filters,
            texts={name: values for name, values in filters.texts.items() if name not in own},
            metadata={each: text for each, text in filters.metadata.items() if each != key},
            statuses=() if self.name == "status_code" else filters.statuses,
        )

    def without_own_filter_of_feedback(self, filters: FeedbackFilters) -> FeedbackFilters:
        """The filters of feedback that narrow the counts of this field."""
        return replace(
            filters,
            shared=self.without_own_filter(filters.shared),
            join_state=None if self.name == "join_state" else filters.join_state,
            value=Range() if self.name == "value" else filters.value,
            words=() if self.key == COMMENT_KEY else filters.words,
        )

    @property
    def key(self) -> str:
        """The key of metadata whose values it counts; empty where it counts something else."""
        return self.name.removeprefix(OF_A_KEY) if self.name.startswith(OF_A_KEY) else ""


@dataclass(frozen=True)
class Asked:
    """Fields to count by, how many values of each, and what their values must contain, in any case."""

    fields: tuple[FacetField, ...]
    limit: int = _LIMIT
    contains: str = ""
    newest: int | None = None
    """Of how many of the newest; None: of all."""


def asked_in(query: QueryParams, known: Mapping[str, str]) -> Asked:
    """What a query string asks for. Raises ApiError."""
    given = query.getlist("fields")
    if not given:
        raise ApiError(f"fields is required, as in {','.join(list(known)[:3])}", "fields")
    names = values_of(given if len(given) > 1 else given[0], "fields")
    if len(names) > MOST_FIELDS:
        raise ApiError(f"fields must be at most {MOST_FIELDS} names, got {len(names)}", "fields")
    limit, contains = query.get("limit", str(_LIMIT)), query.get("contains", "")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= MOST_VALUES):
        raise ApiError(f"limit must be a whole number from 1 to {MOST_VALUES}, got {shown(limit)}", "limit")
    if len(contains) > MOST_CHARS:
        raise ApiError(f"contains must have at most {MOST_CHARS} characters, got {len(contains)}", "contains")
    newest = query.get("newest")
    if newest is not None and not (newest.isascii() and newest.isdigit() and len(newest) <= 8 and int(newest)):
        raise ApiError(f"newest must be a whole number from 1 to {MOST_NEWEST}, got {shown(newest)}", "newest")
    asked = tuple(_field(name, number, known) for number, name in enumerate(names))
    return Asked(asked, int(limit), contains, int(newest) if newest else None)


def openapi_facet_parameters(known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Fields, limit and contains as parameters of an OpenAPI operation."""
    fields = parameter(
        "fields",
        f"What to count by, at most {MOST_FIELDS}, with commas: {', '.join(known)}, or {OF_A_KEY}KEY for what is said"
        f" under a key. At most {MOST_FILTERED} of them may have a filter of their own. `metadata` counts the keys."
        " A key with a comma goes into a parameter of its own: give it twice.",
        f"ai_model,user,{OF_A_KEY}plan",
        required=True,
    )
    limit = parameter("limit", "Most values of a field, the most frequent first.", _LIMIT)
    limit["schema"] |= {"minimum": 1, "maximum": MOST_VALUES, "default": _LIMIT}
    contains = parameter("contains", "Only values that contain this text, in upper or lower case.", "gpt")
    contains["schema"]["maxLength"] = MOST_CHARS
    newest = parameter("newest", "Count only so many of the newest, and those as old as the last of them.", 100_000)
    newest["schema"] |= {"minimum": 1, "maximum": MOST_NEWEST}
    return [fields, limit, contains, newest]


def _field(name: str, number: int, known: Mapping[str, str]) -> FacetField:
    key = name.removeprefix(OF_A_KEY)
    if key in SPECIALS and key != name:
        return FacetField(name, key, is_list=False, parameters={})
    if key not in ("", name):
        bound = f"facet_key_{number}"
        return FacetField(name, f"metadata_texts[{{{bound}:String}}]", is_list=False, parameters={bound: key})
    if name not in known:
        raise ApiError(f"fields: unknown field {shown(name)}, allowed: {', '.join(known)} and {OF_A_KEY}KEY", "fields")
    return FacetField(name, known[name], is_list=known[name] in _LISTS, parameters={})

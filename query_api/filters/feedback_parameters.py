"""What may be asked of feedback itself: the shared filters, and value, weight, join state and words of its comment.

Pure. Each fault is an ApiError that names its parameter.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from starlette.datastructures import QueryParams

from query_api.filters.parameter_values import Range, range_of, shown
from query_api.filters.parameters import LogFilters, filters_in, object_in_query, parameter
from runtime.http_errors import ApiError

JoinState = Literal["pending", "joined", "orphaned"]

COMMENT_KEY = "comment"
"""The key of metadata under which a feedback says in words what it means."""
MOST_WORDS, MOST_COMMENT_CHARS = 20, 200

_ANY = Range()
_RANGES = {"value": ("Value, -10 to 10", "-5"), "weight": ("Weight, 0 to 1", "0.5")}
NAMES = frozenset(["join_state", "comment", *(f"{name}_{end}" for name in _RANGES for end in ("min", "max"))])


@dataclass(frozen=True)
class FeedbackFilters:
    """What must hold of a feedback to be in the answer."""

    shared: LogFilters
    join_state: JoinState | None = None
    value: Range = _ANY
    weight: Range = _ANY
    words: tuple[str, ...] = ()
    """Each must be in the comment, in upper or lower case."""


def feedback_filters_in_query(
    query: QueryParams, workspace: str, others: Collection[str] = (), *, time_required: bool = False
) -> FeedbackFilters:
    """The filters of a query string; `others` are parameters that the route takes besides. Raises ApiError."""
    return feedback_filters_in(object_in_query(query, others), workspace, time_required=time_required)


def feedback_filters_in(given: Mapping[str, Any], workspace: str, *, time_required: bool = False) -> FeedbackFilters:
    """The filters of an object; null is the same as missing. Raises ApiError."""
    own = {name: value for name, value in given.items() if name in NAMES and value is not None}
    shared = {name: value for name, value in given.items() if name not in NAMES}
    return FeedbackFilters(
        filters_in(shared, workspace, time_required=time_required, others=NAMES),
        _join_state(own.get("join_state")),
        value=range_of(own, "value", whole=True),
        weight=range_of(own, "weight"),
        words=_words(own["comment"]) if "comment" in own else (),
    )


def openapi_feedback_parameters() -> list[dict[str, Any]]:
    """The filters that are of feedback alone, as parameters of an OpenAPI operation."""
    state = parameter("join_state", f"One of {', '.join(get_args(JoinState))}.", "pending")
    state["schema"]["enum"] = list(get_args(JoinState))
    comment = parameter(
        "comment",
        f"Words, each of which the comment (the metadata `{COMMENT_KEY}`) contains, in upper or lower case.",
        "too slow",
    )
    comment["schema"]["maxLength"] = MOST_COMMENT_CHARS
    ranges = [
        parameter(f"{name}_{end}", f"{about}: at {'least' if end == 'min' else 'most'}.", example)
        for name, (about, example) in _RANGES.items()
        for end in ("min", "max")
    ]
    return [state, comment, *ranges]


def _join_state(given: Any) -> JoinState | None:
    if given is not None and given not in get_args(JoinState):
        raise ApiError(f"join_state must be pending, joined or orphaned, got {shown(given)}", "join_state")
    return given  # type: ignore[no-any-return]


def _words(given: Any) -> tuple[str, ...]:
    if not isinstance(given, str):
        raise ApiError(f"comment must be text, got {shown(given)}", "comment")
    if len(given) > MOST_COMMENT_CHARS:
        raise ApiError(f"comment must have at most {MOST_COMMENT_CHARS} characters, got {len(given)}", "comment")
    words = tuple(dict.fromkeys(given.split()))
    if not words:
        raise ApiError("comment must not be empty: leave it out to ask for all", "comment")
    if len(words) > MOST_WORDS:
        raise ApiError(f"comment must be at most {MOST_WORDS} words, got {len(words)}", "comment")
    return words

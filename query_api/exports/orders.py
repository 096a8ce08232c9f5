"""What a caller wants exported: read from the body of a call, checked, and kept as JSON.

Pure. Every fault is an ApiError that names the field, and nothing that was asked for is left out in silence.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from query_api.exports.columns import ALWAYS, COLUMNS, FORMATS
from query_api.filters.feedback_parameters import FeedbackFilters, feedback_filters_in
from query_api.filters.parameter_values import shown
from query_api.filters.parameters import ABOUT_FEEDBACK, LogFilters, filters_in
from runtime.http_errors import ApiError
from runtime.times import rfc3339_of

_FIELDS = ("filters", "workspace_id", "description", "requested_data", "fields", "format", "kind")
_IGNORED = ("exportId", "export_id", "id")  # Portkey's Node SDK puts the id of the address into the body, too
_MAX_DESCRIPTION = 1000
_MAX_PAGE_SIZE = _MOST_ROWS = 10**12
_MAX_FILTERS_BYTES = 65_536


@dataclass(frozen=True)
class Order:
    """What is to be exported. `page_size` None: everything; pages count from 0."""

    filters: dict[str, Any]
    requested_data: tuple[str, ...]
    description: str | None = None
    format: str = "jsonl"
    kind: str = "logs"
    created_at: str = ""
    with_feedback: bool = True
    """Whether rows of requests have the feedback of their traces, asked for or not."""

    @classmethod
    def at(cls, now: datetime) -> "Order":
        """One that asks for all logs."""
        return cls({}, (), created_at=rfc3339_of(now))

    @classmethod
    def stored(cls, content: Mapping[str, Any]) -> "Order":
        """The order in a fact."""
        known = {name: content[name] for name in cls.__dataclass_fields__ if name in content}
        return cls(**{**known, "requested_data": tuple(content["requested_data"])})

    def as_content(self) -> dict[str, Any]:
        """As it is kept."""
        return asdict(self)

    @property
    def columns(self) -> list[str]:
        """Columns of the file, in order: those asked for, and for logs what there is of feedback."""
        added = ALWAYS[self.kind] if self.with_feedback else ()
        return [*self.requested_data, *(name for name in added if name not in self.requested_data)]

    @property
    def tells_feedback(self) -> bool:
        """Whether the file, or the number of its rows, tells something about feedback."""
        named = self.kind == "feedback" or not set(ALWAYS[self.kind]).isdisjoint(self.columns)
        return named or not ABOUT_FEEDBACK.isdisjoint(self.filters)

    def as_filters(self, workspace: str) -> LogFilters | FeedbackFilters:
        """The filters of requests, or of feedback, as a structure without paging. Raises ApiError."""
        given = {name: value for name, value in self.filters.items() if name not in ("page_size", "current_page")}
        return filters_in(given, workspace) if self.kind == "logs" else feedback_filters_in(given, workspace)

    @property
    def page(self) -> tuple[int, int] | None:
        """(rows, rows before them), or None for everything. Raises ApiError."""
        size = _whole(self.filters.get("page_size"), "page_size", 1)
        number = _whole(self.filters.get("current_page"), "current_page", 0)
        if size is None and number is not None:
            raise ApiError("current_page says nothing without page_size", "current_page")
        if size is None:
            return None
        if size * ((number or 0) + 1) > _MOST_ROWS:
            raise ApiError(f"current_page and page_size ask for rows after the first {_MOST_ROWS:,}", "current_page")
        return size, size * (number or 0)


def order_in(body: Any, workspace: str, before: Order, with_feedback: bool = True) -> Order:
    """The order in a body; what it leaves out is as `before`, feedback where it is not asked for too. ApiError."""
    if not isinstance(body, dict):
        raise ApiError("the body must be a JSON object")
    given = {name: value for name, value in body.items() if value is not None and name not in _IGNORED}
    for name in given:
        if name not in _FIELDS:
            raise ApiError(f"unknown field {name[:60]!r}, allowed: {', '.join(_FIELDS)}", name[:60])
    wanted = given.get("workspace_id", workspace)
    if not isinstance(wanted, str | int) or str(wanted) != workspace:
        raise ApiError("this caller may not read the workspace", "workspace_id", status=403)
    order = before
    kind = _one_of(given.get("kind", order.kind), "kind", list(COLUMNS))
    order = replace(
        order,
        kind=kind,
        format=_one_of(given.get("format", order.format), "format", list(FORMATS)),
        filters=_filters(given.get("filters", order.filters)),
        description=_description(given.get("description", order.description)),
        requested_data=_requested(given, order, kind, with_feedback),
        with_feedback=with_feedback,
    )
    # Both raise where something is wrong, so that the caller learns it now and not when the export runs.
    order.as_filters(workspace)
    _ = order.page
    return order


def _requested(given: Mapping[str, Any], before: Order, kind: str, with_feedback: bool) -> tuple[str, ...]:
    name = "fields" if "fields" in given else "requested_data"
    wanted = given.get(name, before.requested_data if kind == before.kind else ())
    known = COLUMNS[kind]
    if not isinstance(wanted, list | tuple) or not all(isinstance(each, str) for each in wanted):
        raise ApiError(f"{name} must be a list of names", name)
    for each in wanted:
        if each not in known:
            raise ApiError(f"{name}: unknown value {each[:60]!r}, allowed: {', '.join(known)}", name)
    return tuple(dict.fromkeys(wanted)) or tuple(name for name in known if with_feedback or name not in ALWAYS[kind])


def _filters(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ApiError("filters must be an object", "filters")
    try:
        size = len(msgspec.json.encode(given))
    except RecursionError:
        raise ApiError("filters is nested too deep", "filters") from None
    if size > _MAX_FILTERS_BYTES:
        raise ApiError(f"filters must have at most {_MAX_FILTERS_BYTES} bytes as JSON, got {size}", "filters")
    return {name: value for name, value in given.items() if value is not None}


def _description(given: Any) -> str | None:
    if given is not None and (not isinstance(given, str) or len(given) > _MAX_DESCRIPTION):
        raise ApiError(f"description must be text of at most {_MAX_DESCRIPTION} characters", "description")
    return given


def _one_of(given: Any, name: str, values: list[str]) -> str:
    if given not in values:
        raise ApiError(f"{name} must be {' or '.join(values)}, got {shown(given)}", name)
    return str(given)


def _whole(given: Any, name: str, least: int) -> int | None:
    if given is None:
        return None
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 13 and least <= int(text) <= _MAX_PAGE_SIZE):
        raise ApiError(f"{name} must be a whole number from {least}, got {shown(given)}", name)
    return int(text)

"""Filters as conditions of ClickHouse, with every value bound: of requests, and of feedback.

Pure. A condition always confines what it is about to the caller's workspace, and so does each query inside it. Several
conditions of one set of filters may stand in one query: the same parameter has the same value in all of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from query_api.current_rows import RANK
from query_api.filters.metadata_conditions import map_says, metadata_asked, says
from query_api.filters.parameters import SPECIALS, LogFilters
from query_api.trace_rows import feedback_of_traces, hashes_of, requests_beside, requests_of_traces

Amount = Literal["named", "few", "some", "many"]
"""Which traces are asked about: those of the parameter `trace_hashes`, or all in a time that may hold thousands, tens
of thousands, or any number. Many are read through, others are looked up."""

MOST_LOOKED_UP = 3_000
"""To look up more keys in the small granules of the numbers of traces takes longer than to read all numbers."""

_RANGES = {
    "total_units": "total_tokens",
    "prompt_token": "prompt_tokens",
    "completion_token": "completion_tokens",
    "cost": "cost",
    "response_time": "response_time_ms",
}
_TEXTS = {
    "ai_model": "model",
    "ai_org": "provider",
    "trace_id": "trace_id",
    "span_id": "span_id",
    "prompt_slug": "_prompt",
    "user": "_user",
    "organisation": "_organisation",
    "environment": "_environment",
}
_OF_REQUESTS_ALONE = ("ai_model", "ai_org", "span_id")
_LISTS_OF_FEEDBACK = {"ai_model": "models", "ai_org": "providers"}
_PLACES = 30


@dataclass
class Conditions:
    """Text for WHERE, and the values of its parameters."""

    parts: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All of them, to stand alone or beside other conditions."""
        return " AND ".join(f"({part})" for part in self.parts)

    def add(self, text: str, **parameters: Any) -> None:
        """One more that must hold."""
        self.parts.append(text)
        self.parameters |= parameters


def conditions_on_requests(filters: LogFilters, alias: str = "", traces: Amount = "many") -> Conditions:
    """Which rows of feedback.request_logs are asked for, by `started_at`; `alias` is its name in the query."""
    at = f"{alias}." if alias else ""
    conditions = _of_workspace(filters, at)
    add_times(conditions, filters, f"{at}started_at")
    _add_what_a_request_is(conditions, filters, at, tuple(_TEXTS))
    for number, key in enumerate(filters.metadata):
        conditions.add(says(filters, number, key, at), **metadata_asked(filters, number, key))
    _add_feedback_of_trace(conditions, filters, "feedback.request_log_rows", alias, traces)
    return conditions


def conditions_on_listed_requests(filters: LogFilters, alias: str, traces: Amount = "many") -> Conditions:
    """The same of rows of feedback.request_log_rows, where requests on given traces are found by their keys."""
    conditions = conditions_on_requests(filters, alias, traces)
    if "trace_id" in filters.texts:
        conditions.add(requests_of_traces(alias), **hashes_of(filters.workspace, filters.texts["trace_id"]))
    return conditions


def conditions_on_feedback(filters: LogFilters, alias: str = "", traces: Amount = "many") -> Conditions:
    """Which rows of feedback.feedback are asked for; `alias` is its name in the query. Times are of `created_at`.

    Special fields are those in force. Another key of metadata is the feedback's own, and where it has none, that of any
    request on its trace unless `own_metadata_alone`. What is said of requests (model, provider, status, cost, tokens,
    span) must all hold of one request on its trace.
    """
    at = f"{alias}." if alias else ""
    conditions = _of_workspace(filters, at)
    add_times(conditions, filters, f"{at}created_at")
    for name, values in filters.texts.items():
        if name not in _OF_REQUESTS_ALONE:
            conditions.add(f"{at}{_TEXTS[name]} IN {{{name}:Array(String)}}", **{name: list(values)})
    beside = ""
    if traces == "named":
        conditions.add(feedback_of_traces(alias))
        beside = f" AND {requests_of_traces()}"
    # To read a column of all requests takes no longer than to look these up; to read metadata takes ten times as long.
    elif traces == "few" and is_found_by_metadata_of_requests(filters):
        left = f"SELECT {at}feedback_id FROM feedback.feedback_rows AS {alias or 'asked'} WHERE {conditions.text}"
        beside = f" AND {requests_beside(left)}"
    asked = said_of_requests(filters)
    if asked and not is_found_by_a_request(filters):
        (name,) = asked
        conditions.add(
            f"hasAny({at}{_LISTS_OF_FEEDBACK[name]}, {{{name}:Array(String)}})", **{name: list(filters.texts[name])}
        )
    elif asked:
        request = _of_workspace(filters, "")
        _add_what_a_request_is(request, filters, "", _OF_REQUESTS_ALONE)
        conditions.add(_on_a_request(at, request.text + beside), **request.parameters)
    for number, key in enumerate(filters.metadata):
        condition = says(filters, number, key, at)
        if key not in SPECIALS and not filters.own_metadata_alone:
            on_request = f"workspace = {{workspace:String}} AND {says(filters, number, key, '')}{beside}"
            condition = (
                f"if(mapContains({at}metadata_texts, {{key_{number}:String}}), {map_says(number, key, at)},"
                f" {_on_a_request(at, on_request)})"
            )
        conditions.add(condition, **metadata_asked(filters, number, key))
    if filters.has_feedback is False:
        conditions.add("false")
    _add_feedback_of_trace(conditions, replace(filters, has_feedback=None), "feedback.feedback_rows", alias, traces)
    return conditions


def within_any(conditions: Conditions, column: str, name: str, intervals: Sequence[tuple[datetime, datetime]]) -> None:
    """Add that a time is in one of these intervals, whose ends are not included; `name` begins their parameters."""
    parts = []
    for number, ends in enumerate(intervals):
        since, until = (f"{name}_{end}_{number}" for end in ("since", "until"))
        parts.append(
            f"{column} >= fromUnixTimestamp64Milli({{{since}:Int64}})"
            f" AND {column} < fromUnixTimestamp64Milli({{{until}:Int64}})"
        )
        conditions.parameters |= zip((since, until), map(milliseconds, ends), strict=True)
    conditions.add(" OR ".join(parts) or "false")


def said_of_requests(filters: LogFilters) -> tuple[str, ...]:
    """Which filters can be answered from requests only, by parameter."""
    names = [name for name in filters.texts if name in _OF_REQUESTS_ALONE]
    names += [name for name in filters.ranges if name in _RANGES]
    names += ["status_code"] * bool(filters.statuses) + ["ai_org_model"] * bool(filters.provider_models)
    names += ["request_id"] * bool(filters.request_ids)
    return tuple(names)


def hidden_of_requests(filters: LogFilters) -> tuple[str, ...]:
    """Which filters tell something of requests that no feedback shows, by parameter."""
    return tuple(name for name in said_of_requests(filters) if name not in (*_LISTS_OF_FEEDBACK, "ai_org_model"))


def is_found_by_a_request(filters: LogFilters) -> bool:
    """Whether feedback is chosen by what a request on its trace says of itself and the feedback's row does not."""
    asked = said_of_requests(filters)
    return bool(asked) and not (len(asked) == 1 and asked[0] in _LISTS_OF_FEEDBACK)


def is_found_by_metadata_of_requests(filters: LogFilters) -> bool:
    """Whether feedback may be chosen by the metadata of the requests on its trace."""
    return not filters.own_metadata_alone and any(key not in SPECIALS for key in filters.metadata)


def milliseconds(at: datetime) -> int:
    """Unix time, exact."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _of_workspace(filters: LogFilters, at: str) -> Conditions:
    return Conditions([f"{at}workspace = {{workspace:String}}"], {"workspace": filters.workspace})


def add_times(conditions: Conditions, filters: LogFilters, column: str) -> None:
    """That a time is in the range asked for."""
    if filters.since:
        conditions.add(f"{column} >= fromUnixTimestamp64Milli({{since:Int64}})", since=milliseconds(filters.since))
    if filters.until:
        conditions.add(f"{column} < fromUnixTimestamp64Milli({{until:Int64}})", until=milliseconds(filters.until))


def _add_what_a_request_is(conditions: Conditions, filters: LogFilters, at: str, texts: tuple[str, ...]) -> None:
    for name, values in filters.texts.items():
        if name in texts:
            conditions.add(f"{at}{_TEXTS[name]} IN {{{name}:Array(String)}}", **{name: list(values)})
    for name, column in _RANGES.items():
        for end, comparison, limit in _limits(filters, name):
            conditions.add(f"{at}{column} {comparison} {{{name}_{end}:Float64}}", **{f"{name}_{end}": float(limit)})
    if filters.statuses:
        conditions.add(f"{at}status IN {{status_code:Array(UInt16)}}", status_code=list(filters.statuses))
    if filters.request_ids:
        conditions.add(f"{at}request_id IN {{request_id:Array(UUID)}}", request_id=list(map(str, filters.request_ids)))
    if filters.provider_models:
        pairs = enumerate(filters.provider_models)
        names = {f"{kind}_{number}": each[kind == "model"] for number, each in pairs for kind in ("provider", "model")}
        texts_of = [
            f"{at}provider = {{provider_{number}:String}} AND {at}model = {{model_{number}:String}}"
            for number in range(len(filters.provider_models))
        ]
        conditions.add(" OR ".join(texts_of), **names)


def _on_a_request(at: str, condition: str) -> str:
    # A request that is stored twice is the same row twice.
    return f"{at}trace_id IN (SELECT trace_id FROM feedback.request_log_rows FINAL WHERE {condition})"


def _add_feedback_of_trace(conditions: Conditions, filters: LogFilters, table: str, alias: str, traces: Amount) -> None:
    at = f"{alias}." if alias else ""
    left = "true"
    if len(conditions.parts) > 1:
        # Of the traces that the other conditions leave, and not of all there are; replaced rows add some at most.
        left = f"trace_id IN (SELECT {at}trace_id FROM {table} AS {alias or 'asked'} WHERE {conditions.text})"
    if filters.has_feedback is False:
        conditions.add(f"{at}trace_id NOT IN ({_traces(left, traces, Conditions())})")
    means = _means_of_trace(filters)
    if means.parts or filters.has_feedback:
        conditions.add(f"{at}trace_id IN ({_traces(left, traces, means)})", **means.parameters)


def _means_of_trace(filters: LogFilters) -> Conditions:
    """What must hold of a row of feedback.trace_aggregates. Sums are compared, since a quotient would be rounded."""
    means = Conditions()
    for end, comparison, limit in _limits(filters, "weighted_feedback"):
        name = f"weighted_feedback_{end}"
        sum_at_limit = f"toDecimal256({{{name}:String}}, {_PLACES}) * feedback_count"
        means.add(f"value_weight_sum {comparison} {sum_at_limit}", **{name: f"{limit:.{_PLACES}f}"})
    return means


def _traces(left: str, traces: Amount, means: Conditions) -> str:
    """The traces with feedback of which this holds."""
    of_these = f"workspace = {{workspace:String}} AND {left}"
    judged = " AND ".join(["feedback_count > 0", *means.parts])
    if traces == "many":
        return f"SELECT trace_id FROM feedback.trace_aggregates WHERE {of_these} AND {judged}"
    # FINAL takes six times as long to put together the many granules that hold a few traces each.
    return f"""
        SELECT trace_id FROM (
            SELECT trace_id, feedback_count, value_weight_sum, is_expired FROM feedback.trace_aggregate_rows
            WHERE {of_these} ORDER BY {RANK} DESC LIMIT 1 BY trace_id
            SETTINGS use_index_for_in_with_subqueries_max_values = {MOST_LOOKED_UP}
        )
        WHERE NOT is_expired AND {judged}
    """


def _limits(filters: LogFilters, name: str) -> Iterator[tuple[str, str, Any]]:
    if name in filters.ranges:
        limits = filters.ranges[name]
        found = (("min", ">=", limits.least), ("max", "<=", limits.most))
        yield from (each for each in found if each[2] is not None)

"""What requests add up to: their number, errors, cost, tokens, latency and users, each with the SQL that computes it.

Pure. Sums are of whole numbers (billionths of a cent, millionths of a millisecond, tokens), so they do not depend on
the order in which rows are read; a mean is rounded once. A percentile is a latency that some request had.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from query_api.analytics.responses import Total

Row = Mapping[str, Any]
"""Aggregates by name; empty where there is no request."""
Value = TypeVar("Value", bound=BaseModel, covariant=True)

IS_ERROR = "r.status NOT BETWEEN 100 AND 399"
"""4xx, 5xx, and what is no HTTP status, such as 0 for a request without an answer."""
PERCENTILES = (50, 90, 95, 99)

_COST_PLACES, _TIME_PLACES = 9, 6
_PERCENTILE = "Of the requests that tell it, a share of {} % took less, or as long."


class Cost(BaseModel):
    """US cents."""

    total: float = Field(examples=[12.5])
    avg: float | None = Field(description="Over the requests that tell a cost; null without any.", examples=[0.25])
    n: int = Field(description="Requests that tell a cost.", examples=[50])


class Latency(BaseModel):
    """Milliseconds until the answer was complete; null where no request tells them."""

    avg: float | None = Field(description="Over the requests that tell it.", examples=[912.4])
    p50: float | None = Field(description=_PERCENTILE.format(50), examples=[840])
    p90: float | None = Field(description=_PERCENTILE.format(90), examples=[1510])
    p95: float | None = Field(description=_PERCENTILE.format(95), examples=[1900])
    p99: float | None = Field(description=_PERCENTILE.format(99), examples=[3120])
    n: int = Field(description="Requests that tell it.", examples=[50])


class MeanLatency(BaseModel):
    """Milliseconds until the answer was complete, on average."""

    avg: float | None


class Tokens(BaseModel):
    """Tokens. Each mean is over the requests that tell what it is of; null without any."""

    total: int = Field(description="In and out.", examples=[4500])
    avg: float | None = Field(examples=[90.0])
    input: int = Field(description="Tokens in.", examples=[4000])
    avg_input: float | None = Field(examples=[80.0])
    output: int = Field(description="Tokens out.", examples=[500])
    avg_output: float | None = Field(examples=[10.0])
    n: int = Field(description="Requests that tell their tokens in and out.", examples=[50])


class ErrorRate(BaseModel):
    """Errors among all requests."""

    rate: float | None = Field(description="Percent of all requests; null without any.", examples=[2.0])
    success: float | None = Field(description="The rest, in percent.", examples=[98.0])
    errors: int = Field(examples=[1])
    requests: int = Field(examples=[50])


class UserRequests(BaseModel):
    """Requests that name a user."""

    total: int = Field(examples=[40])
    unique: int = Field(description="Different users.", examples=[8])
    avg: float | None = Field(description="Requests of one user; null without users.", examples=[5.0])


class Overview(BaseModel):
    """Requests, what went wrong, and what they took."""

    requests: ErrorRate
    latency: Latency
    tokens: Tokens
    cost: Cost


class Seen(BaseModel):
    """When the first and the last request began."""

    first: datetime
    last: datetime


@dataclass(frozen=True, eq=False)
class Measure(Generic[Value]):
    """Something that requests add up to: aggregates of rows `r` of feedback.request_logs, and what they say."""

    aggregates: Mapping[str, str]
    """SQL by name. An aggregate of the same name is the same in all measures, so several may stand in one query."""
    read: Callable[[Row], Value]


def select(*measures: Measure[Any]) -> str:
    """All aggregates of the measures, as a SELECT lists them."""
    found = {name: sql for measure in measures for name, sql in measure.aggregates.items()}
    return ", ".join(f"{sql} AS {name}" for name, sql in found.items())


def _whole_sum(column: str, places: int) -> str:
    return f"ifNull(sum(toInt128(round(r.{column} * 1e{places}))), 0)"


COST_SUM = _whole_sum("cost", _COST_PLACES)
"""SQL for what requests `r` cost, in billionths of a cent."""


def cents(cost_sum: int) -> float:
    """US cents."""
    return float(Fraction(cost_sum, 10**_COST_PLACES))


def _mean(total: int, n: int, places: int = 0) -> float | None:
    return float(Fraction(total, n * 10**places)) if n else None


def _percent(part: int, whole: int) -> float | None:
    return float(Fraction(100 * part, whole)) if whole else None


def _cost(row: Row) -> Cost:
    total, n = row.get("cost_sum", 0), row.get("cost_n", 0)
    return Cost(total=cents(total), avg=_mean(total, n, _COST_PLACES), n=n)


def _mean_latency(row: Row) -> MeanLatency:
    return MeanLatency(avg=_mean(row.get("latency_sum", 0), row.get("latency_n", 0), _TIME_PLACES))


def _latency(row: Row) -> Latency:
    n = row.get("latency_n", 0)
    found = zip(PERCENTILES, row["latency_percentiles"], strict=True) if n else ((each, None) for each in PERCENTILES)
    return Latency(avg=_mean_latency(row).avg, n=n, **{f"p{percent}": value for percent, value in found})


def _tokens(row: Row) -> Tokens:
    sums = {kind: (row.get(f"{kind}_sum", 0), row.get(f"{kind}_n", 0)) for kind in ("tokens", "input", "output")}
    return Tokens(
        total=sums["tokens"][0], avg=_mean(*sums["tokens"]), n=sums["tokens"][1],
        input=sums["input"][0], avg_input=_mean(*sums["input"]),
        output=sums["output"][0], avg_output=_mean(*sums["output"]),
    )  # fmt: skip


def _error_rate(row: Row) -> ErrorRate:
    errors, requests = row.get("errors", 0), row.get("requests", 0)
    success = _percent(requests - errors, requests)
    return ErrorRate(rate=_percent(errors, requests), success=success, errors=errors, requests=requests)


def _user_requests(row: Row) -> UserRequests:
    total, unique = row.get("requests_of_users", 0), row.get("users", 0)
    return UserRequests(total=total, unique=unique, avg=_mean(total, unique))


def _seen(row: Row) -> Seen:
    return Seen(first=row["first_seen"].replace(tzinfo=UTC), last=row["last_seen"].replace(tzinfo=UTC))


_LEVELS = ", ".join(str(percent / 100) for percent in PERCENTILES)
_TOKEN_COLUMNS = {"tokens": "total_tokens", "input": "prompt_tokens", "output": "completion_tokens"}
_REQUESTS = {"requests": "count()"}
_ERRORS = {"errors": f"countIf({IS_ERROR})"}
_USERS = {"users": "uniqExactIf(r._user, r._user != '')"}
_MEAN_LATENCY = {
    "latency_n": "count(r.response_time_ms)",
    "latency_sum": _whole_sum("response_time_ms", _TIME_PLACES),
}

REQUESTS = Measure(_REQUESTS, lambda row: Total(total=row.get("requests", 0)))
ERRORS = Measure(_ERRORS, lambda row: Total(total=row.get("errors", 0)))
ERROR_RATE = Measure(_REQUESTS | _ERRORS, _error_rate)
USERS = Measure(_USERS, lambda row: Total(total=row.get("users", 0)))
USER_REQUESTS = Measure(_USERS | {"requests_of_users": "countIf(r._user != '')"}, _user_requests)
COST = Measure({"cost_n": "count(r.cost)", "cost_sum": COST_SUM}, _cost)
MEAN_LATENCY = Measure(_MEAN_LATENCY, _mean_latency)
LATENCY = Measure(
    _MEAN_LATENCY | {"latency_percentiles": f"quantilesExact({_LEVELS})(r.response_time_ms)"}, _latency
)  # fmt: skip
TOKENS = Measure(
    {f"{kind}_n": f"count(r.{column})" for kind, column in _TOKEN_COLUMNS.items()}
    | {f"{kind}_sum": f"ifNull(sum(toUInt128(r.{column})), 0)" for kind, column in _TOKEN_COLUMNS.items()},
    _tokens,
)
OVERVIEW = Measure(
    {**ERROR_RATE.aggregates, **LATENCY.aggregates, **TOKENS.aggregates, **COST.aggregates},
    lambda row: Overview(requests=_error_rate(row), latency=_latency(row), tokens=_tokens(row), cost=_cost(row)),
)
SEEN = Measure({"first_seen": "min(r.started_at)", "last_seen": "max(r.started_at)"}, _seen)

"""`GET /v1/analytics/graphs/…` of requests: how many, errors, cost, tokens, latency and users over time.

Portkey's Node SDK has its own spelling of some paths, which answers as well.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from query_api.analytics.parameters import BUCKET_PARAMETERS, FAILURES, NO_ANSWER, GraphQuestion, graph_question
from query_api.analytics.request_measures import (
    COST,
    ERROR_RATE,
    ERRORS,
    LATENCY,
    OVERVIEW,
    REQUESTS,
    TOKENS,
    USER_REQUESTS,
    USERS,
    Cost,
    ErrorRate,
    Latency,
    Measure,
    Overview,
    Tokens,
    UserRequests,
)
from query_api.analytics.request_series import errors_by_status, requests_over_time
from query_api.analytics.responses import At, Graph, TimeGraph, Total, TotalAt
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines, Reader
from query_api.filters.parameters import openapi_parameters
from query_api.settings import QuerySettings

_FILTERS = openapi_parameters(time_required=True)
_ERROR = "An error has a status of 400 or more, or one that is none of HTTP, such as 0."


class CostAt(Cost, At):
    """Of one bucket."""


class LatencyAt(Latency, At):
    """Of one bucket."""


class TokensAt(Tokens, At):
    """Of one bucket."""


class ErrorRateAt(ErrorRate, At):
    """Of one bucket."""


class OverviewAt(Overview, At):
    """Of one bucket."""


class UserRequestsAt(UserRequests, At):
    """Of one bucket."""


class StatusCount(BaseModel):
    """How many errors have one status."""

    response_status_code: int = Field(examples=[429])
    count: int = Field(examples=[3])


class StatusCountsAt(At):
    """Errors of one bucket by their status, lowest first."""

    stats: list[StatusCount]


class CodeCount(BaseModel):
    """How many errors have one status."""

    status_code: int = Field(examples=[429])
    count: int = Field(examples=[3])


class CodesSummary(BaseModel):
    """All errors."""

    total_errors: int = Field(examples=[3])
    unique_error_codes: int = Field(examples=[1])


@dataclass(frozen=True)
class _TimeGraph:
    """A graph of one measure over time."""

    path: str
    measure: Measure[BaseModel]
    answer: type[TimeGraph[Any, Any]]
    summary: str
    description: str = ""
    of_node_sdk: str | None = None


_GRAPHS = (
    _TimeGraph("/requests", REQUESTS, TimeGraph[Total, TotalAt], "How many requests"),
    _TimeGraph("/cost", COST, TimeGraph[Cost, CostAt], "What requests cost"),
    _TimeGraph("/latency", LATENCY, TimeGraph[Latency, LatencyAt], "How long requests take"),
    _TimeGraph("/tokens", TOKENS, TimeGraph[Tokens, TokensAt], "How many tokens go in and out"),
    _TimeGraph("/users", USERS, TimeGraph[Total, TotalAt], "How many different users"),
    _TimeGraph("/users/requests", USER_REQUESTS, TimeGraph[UserRequests, UserRequestsAt], "Requests of one user",
               of_node_sdk="/users-requests"),
    _TimeGraph("/errors", ERRORS, TimeGraph[Total, TotalAt], "How many errors", _ERROR),
    _TimeGraph("/errors/rate", ERROR_RATE, TimeGraph[ErrorRate, ErrorRateAt], "How many requests in a hundred fail",
               _ERROR, of_node_sdk="/errors-rate"),
    _TimeGraph("/requests/overview", OVERVIEW, TimeGraph[Overview, OverviewAt],
               "Requests, errors, latency, tokens and cost at once",
               f"The same numbers as in the graphs of each, from one reading of the requests. {_ERROR}"),
)  # fmt: skip


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(prefix="/v1/analytics/graphs", tags=["analytics"])
    for each in _GRAPHS:
        _add(router, each.path, each.of_node_sdk, _measured(reader, each), each.answer, each.summary, each.description)

    async def stacks(request: Request, caller: AnalyticsReader) -> TimeGraph[Total, StatusCountsAt]:
        asked = graph_question(request.query_params, caller.workspace, over_time=True)
        async with reader.query_deadline(NO_ANSWER):
            found = await errors_by_status(reader, asked.filters, asked.when)
        points = [
            StatusCountsAt(
                timestamp=start.astimezone(asked.zone),
                stats=[StatusCount(response_status_code=status, count=count) for status, count in errors.items()],
            )
            for start, errors in found
        ]
        total = sum(sum(errors.values()) for _, errors in found)
        return TimeGraph(summary=Total(total=total), data_points=points, **_shape(asked))

    async def status_codes(request: Request, caller: AnalyticsReader) -> Graph[CodesSummary, CodeCount]:
        asked = graph_question(request.query_params, caller.workspace, over_time=False)
        async with reader.query_deadline(NO_ANSWER):
            ((_, errors),) = await errors_by_status(reader, asked.filters, asked.when)
        summary = CodesSummary(total_errors=sum(errors.values()), unique_error_codes=len(errors))
        points = [CodeCount(status_code=status, count=count) for status, count in Counter(errors).most_common()]
        return Graph(summary=summary, data_points=points)

    _add(router, "/errors/stacks", "/errors-stack", stacks, TimeGraph[Total, StatusCountsAt],
         "How many errors of each status, over time", _ERROR)  # fmt: skip
    _add(router, "/errors/status-codes", "/errors-status-code", status_codes, Graph[CodesSummary, CodeCount],
         "How many errors of each status", f"Most frequent first. {_ERROR}")  # fmt: skip
    return router


Answer = Callable[[Request, AnalyticsReader], Coroutine[Any, Any, Graph[Any, Any]]]


def _add(
    router: APIRouter, path: str, of_node_sdk: str | None, answer: Answer, model: type[Graph[Any, Any]],
    summary: str, description: str,
) -> None:  # fmt: skip
    if of_node_sdk:
        description = f"{description} Also found at `/v1/analytics/graphs{of_node_sdk}`.".strip()
        router.add_api_route(of_node_sdk, answer, response_model=model, include_in_schema=False)
    parameters = [*_FILTERS, *BUCKET_PARAMETERS] if issubclass(model, TimeGraph) else _FILTERS
    router.add_api_route(
        path,
        answer,
        response_model=model,
        summary=summary,
        description=description,
        responses=FAILURES,
        openapi_extra={"parameters": parameters},
    )


def _measured(reader: Reader, graph: _TimeGraph) -> Answer:
    async def answer(request: Request, caller: AnalyticsReader) -> TimeGraph[Any, Any]:
        asked = graph_question(request.query_params, caller.workspace, over_time=True)
        async with reader.query_deadline(NO_ANSWER):
            found = await requests_over_time(reader, asked.filters, asked.when, graph.measure)
        points = [
            {"timestamp": start.astimezone(asked.zone), **value.model_dump()} for start, value in found.points
        ]  # fmt: skip
        return graph.answer(summary=found.everything.model_dump(), data_points=points, **_shape(asked))

    return answer


def _shape(asked: GraphQuestion) -> dict[str, Any]:
    return {"bucket": asked.bucket, "time_zone": asked.zone.key}

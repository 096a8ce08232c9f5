"""`GET /v1/logs` and `GET /v1/logs/{id}`: requests that apps have served, each with what its trace's feedback says."""

from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.auth import REFUSALS, Caller, LogsReader, require_scope
from query_api.clickhouse import AWAY, Engines, Reader
from query_api.errors import example
from query_api.filters.cursors import (
    PARAMETERS,
    cursor_of,
    openapi_page_parameters,
    page_size_in,
    place_in,
)
from query_api.filters.feedback_parameters import FeedbackFilters
from query_api.filters.parameters import LogFilters, filters_in_query, openapi_parameters
from query_api.reading.feedback_page import feedback_page
from query_api.reading.request_log_items import (
    BODIES,
    FEEDBACK_NOT_SHOWN,
    ListedRequestLog,
    RequestLogDetail,
    fields_of,
    parts_of,
)
from query_api.reading.request_order import OF_FEEDBACK, RequestOrder, openapi_order_parameters, order_in
from query_api.reading.request_order import PARAMETERS as ORDER_PARAMETERS
from query_api.reading.request_ranking import ranked_rows
from query_api.reading.request_rows import CURRENT_ROWS, Row, current_page, current_requests, log_rows
from query_api.reading.trace_summaries import TraceSummary, summaries_of, summaries_with_pairs
from query_api.settings import QuerySettings
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError
from schemas.ids import id_in, is_ours

CURSOR = "l"
MOST_FEEDBACK = 50


class LogPage(BaseModel):
    """One page. Where `next_cursor` is null there is no more."""

    object: Literal["list"] = "list"
    data: list[ListedRequestLog]
    next_cursor: str | None = Field(examples=["lAAABmwAAAAABlwAAAAAAgACAAJsR7fkAAA"])


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader, ranking_reader = engines.reader(settings.query_timeout_s), engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["reading"], responses=REFUSALS)

    @router.get("/v1/logs/", include_in_schema=False)
    @router.get(
        "/v1/logs",
        summary="List requests",
        description="Newest first or by `order_by`, without headers and bodies. Each has the feedback of its trace: how"
        " much, its means, and the value : weight pairs of the newest. Without the scope feedback.read they are null,"
        " and weighted_feedback and has_feedback are no filters, and numbers of feedback no order. All given filters"
        " must hold.",
        openapi_extra={"parameters": [*openapi_parameters(), *openapi_order_parameters(), *openapi_page_parameters()]},
        responses={
            400: {
                "description": "A parameter is not valid.",
                **example(400, "page_size must be an integer from 1 to 100, got '0'", "page_size"),
            },
            503: AWAY,
        },
    )
    async def list_logs(request: Request, caller: LogsReader) -> LogPage:
        query = request.query_params
        order, size = order_in(query), page_size_in(query)
        filters = _filters_in(query, caller, order)
        asked = reader if order.is_newest_first else ranking_reader
        async with asked.query_deadline("requests cannot be listed"):
            sought = partial(_rows_in, asked, query, filters, order, size + 1)
            rows, summaries = await _with_feedback(asked, caller, sought, filters.texts.get("trace_id"), size)
        more = _cursor_after(rows[size - 1], order) if len(rows) > size else None
        return LogPage(
            data=[ListedRequestLog(**fields_of(row), **_feedback_of_trace(row, summaries)) for row in rows[:size]],
            next_cursor=more,
        )

    @router.get(
        "/v1/logs/{log_id}",
        summary="One request",
        responses={
            404: {"description": "No such request is stored.", **example(404, "there is no request log", "log_id")},
            503: AWAY,
        },
    )
    async def get_log(
        log_id: Annotated[str, Path(examples=["01970000-0000-8000-8000-9b11edf90000"])], caller: LogsReader
    ) -> RequestLogDetail:
        identity = id_in(log_id)
        if identity is None or not is_ours(identity):
            raise _none(log_id, "ids of requests are UUIDs of version 8, as POST /v1/logs answers them")
        async with reader.query_deadline("the request cannot be read"):
            rows = await current_requests(reader, caller.workspace, [str(identity)], BODIES)
            if not rows:
                raise _none(log_id, "none was accepted under it, it is not stored yet, or it is no longer kept")
            return await _detail(reader, caller, rows[0])

    return router


def _filters_in(query: QueryParams, caller: Caller, order: RequestOrder) -> LogFilters:
    """The filters of a list in this order. ApiError for what the caller may not ask, too."""
    others = (*PARAMETERS, *ORDER_PARAMETERS)
    filters = filters_in_query(query, caller.workspace, others, time_required=not order.is_newest_first)
    if filters.ask_about_feedback:
        require_scope(caller, "feedback.read", "filters by feedback")
    if order.by in OF_FEEDBACK:
        require_scope(caller, "feedback.read", "orders by feedback")
    return filters


async def _rows_in(
    reader: Reader, query: QueryParams, filters: LogFilters, order: RequestOrder, count: int, source: str
) -> list[Row]:
    """The first `count` of the page that a query string asks for, in this order."""
    if order.is_newest_first:
        return await log_rows(reader, filters, place_in(query, CURSOR), count, source)
    return await ranked_rows(reader, filters, order, order.place_in(query), count, source)


def _cursor_after(row: Row, order: RequestOrder) -> str:
    return cursor_of(CURSOR, row["created_at"], row["id"]) if order.is_newest_first else order.cursor(row)


async def _detail(reader: Reader, caller: Caller, row: dict[str, Any]) -> RequestLogDetail:
    """The request of this row, with the feedback of its trace where the caller may read that."""
    if "feedback.read" not in caller.scopes:
        return RequestLogDetail(**fields_of(row), **parts_of(row), **FEEDBACK_NOT_SHOWN)
    on_trace = LogFilters(caller.workspace, texts={"trace_id": (row["trace_id"],)})
    summaries, feedback = await answers_of(
        summaries_of(reader, caller.workspace, [row["trace_id"]]),
        feedback_page(reader, FeedbackFilters(on_trace), None, MOST_FEEDBACK),
    )
    feedback_summary = summaries.get(row["trace_id"], TraceSummary()).feedback_summary
    shown = feedback if summaries else []
    return RequestLogDetail(**fields_of(row), **parts_of(row), **feedback_summary, feedback=shown)


async def _with_feedback(
    reader: Reader,
    caller: Caller,
    sought: Callable[[str], Coroutine[Any, Any, list[Row]]],
    traces: Collection[str] | None,
    size: int,
) -> tuple[list[Row], dict[str, TraceSummary] | None]:
    """The rows of a page, and the feedback on their traces: at once where the list is of given traces."""
    if traces:
        rows, summaries = await answers_of(sought(CURRENT_ROWS), _summaries(reader, caller, traces))
        return rows, summaries
    return await current_page(
        reader,
        caller.workspace,
        sought,
        lambda rows: _summaries(reader, caller, {row["trace_id"] for row in rows[:size]}),
    )


async def _summaries(reader: Reader, caller: Caller, traces: Collection[str]) -> dict[str, TraceSummary] | None:
    """The feedback on traces; None where the caller may not read it."""
    if "feedback.read" not in caller.scopes:
        return None
    return await summaries_with_pairs(reader, caller.workspace, traces)


def _feedback_of_trace(row: dict[str, Any], summaries: dict[str, TraceSummary] | None) -> dict[str, Any]:
    """What a request shows of the feedback on its trace."""
    if summaries is None:
        return FEEDBACK_NOT_SHOWN
    summary = summaries.get(row["trace_id"], TraceSummary())
    return summary.feedback_summary | {"feedback": summary.pairs}


def _none(log_id: str, why: str) -> ApiError:
    return ApiError(f"there is no request log with the id {log_id[:60]!r}: {why}", "log_id", status=404)

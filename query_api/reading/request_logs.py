"""`GET /v1/logs` and `GET /v1/logs/{id}`: requests that apps have served, each with what its trace's feedback says."""

from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

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
from query_api.filters.parameters import LogFilters, filters_in_query, openapi_parameters
from query_api.reading.feedback_page import feedback_on
from query_api.reading.request_log_items import (
    FEEDBACK_NOT_SHOWN,
    ListedRequestLog,
    RequestLogDetail,
    fields_of,
    parts_of,
)
from query_api.reading.request_order import OF_FEEDBACK, RequestOrder, openapi_order_parameters, order_in
from query_api.reading.request_order import PARAMETERS as ORDER_PARAMETERS
from query_api.reading.request_ranking import ranked_rows
from query_api.reading.request_rows import CURRENT_ROWS, Row, current_page, current_request, log_rows
from query_api.reading.trace_summaries import TraceSummary, summaries_of, summaries_with_pairs
from query_api.settings import QuerySettings
from query_api.trace_journal import TraceJournal, journal_beside, journal_of
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
            found = await _request(reader, caller, identity)
        if found is None:
            raise _none(log_id, "none was accepted under it, it is not stored yet, or it is no longer kept")
        return found

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


async def _request(reader: Reader, caller: Caller, identity: UUID) -> RequestLogDetail | None:
    journal = await journal_beside(reader, caller.workspace, identity)
    trace_id = journal.trace_of(identity)
    row, told = await answers_of(
        current_request(reader, caller.workspace, identity, journal),
        _detail_of_feedback(reader, caller, journal, trace_id),
    )
    if row is None:
        return None
    if row["trace_id"] != trace_id:
        journal = await journal_of(reader, caller.workspace, row["trace_id"])
        told = await _detail_of_feedback(reader, caller, journal, row["trace_id"])
    return RequestLogDetail(**fields_of(row), **parts_of(row), **told)


async def _detail_of_feedback(
    reader: Reader, caller: Caller, journal: TraceJournal, trace_id: str | None
) -> dict[str, Any]:
    """What a request tells of the feedback on its trace, as far as the caller may read that."""
    if trace_id is None:
        return {}
    if "feedback.read" not in caller.scopes:
        return FEEDBACK_NOT_SHOWN
    summaries, feedback = await answers_of(
        summaries_of(reader, caller.workspace, [trace_id]),
        feedback_on(reader, caller.workspace, trace_id, journal, MOST_FEEDBACK),
    )
    feedback_summary = summaries.get(trace_id, TraceSummary()).feedback_summary
    return feedback_summary | {"feedback": feedback if summaries else []}


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

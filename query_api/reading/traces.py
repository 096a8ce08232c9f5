"""`GET /v1/traces/{trace_id}`: a trace's spans as a tree, its feedback with every edit, and its numbers.

A trace may have any number of both, so they come in pages, each with exact totals and a cursor of its own.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from query_api.any_text import ANY_TEXT
from query_api.auth import REFUSALS, FeedbackReader, LogsReader
from query_api.clickhouse import AWAY, Engines, Reader
from query_api.current_rows import RANK, RANK_OF_REQUESTS
from query_api.errors import example
from query_api.exact_quotients import quotient
from query_api.filters.conditions import conditions_on_requests
from query_api.filters.cursors import (
    Place,
    add_place,
    cursor_of,
    openapi_page_parameters,
    page_size_in,
    place_in,
    refuse_unknown,
)
from query_api.filters.parameters import LogFilters, parameter
from query_api.reading.request_log_items import COLUMNS, RequestLogFields, fields_of
from query_api.reading.span_tree import Span, in_tree_order
from query_api.reading.trace_feedback import FeedbackTotals, TraceFeedback, feedback_totals, feedback_with_history
from query_api.settings import QuerySettings
from query_api.trace_rows import hashes_of, requests_of_traces
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError
from schemas.ids import canonical_trace_id

SPANS, FEEDBACK = "s", "f"

_PARAMETERS = ("span_cursor", "feedback_cursor", "page_size")
# The view trace_aggregates by hand: FINAL would read whatever overlaps the granule that holds this trace.
_NUMBERS = f"""
SELECT * EXCEPT is_expired FROM (
    SELECT feedback_count, toFloat64(weight_sum) AS weight_sum, toFloat64(value_weight_sum) AS value_weight_sum,
        toFloat64(weight_value_squared_sum) AS weight_value_squared_sum, value_min, value_max, value_last,
        if(feedback_count = 0, NULL, {quotient("a.value_weight_sum", "a.feedback_count")}) AS mean_value_weight,
        if(weight_sum = 0, NULL, {quotient("a.value_weight_sum", "a.weight_sum")}) AS weighted_mean,
        updated_at, is_expired
    FROM feedback.trace_aggregate_rows AS a WHERE workspace = {{workspace:String}} AND trace_id = {{trace_id:String}}
    ORDER BY {RANK} DESC LIMIT 1
)
WHERE NOT is_expired
"""
_SPAN_TOTAL = f"""
SELECT uniqExact(l.request_id) AS total FROM feedback.request_log_rows AS l
PREWHERE l.workspace = {{workspace:String}} AND l.trace_id = {{trace_id:String}} AND {requests_of_traces("l")}
"""


class TraceSpan(RequestLogFields):
    """One request of the trace, in its place of the tree."""

    depth: int = Field(description="0 for one that has no parent among the spans of this page.", examples=[0])


class TraceAggregates(BaseModel):
    """The numbers of the trace's feedback that stands; sums are 0 and the rest null without any."""

    feedback_count: int = 0
    weight_sum: float = Field(0.0, examples=[0.5])
    value_weight_sum: float = Field(0.0, examples=[2.5])
    weight_value_squared_sum: float = Field(0.0, examples=[12.5])
    value_min: int | None = None
    value_max: int | None = None
    value_last: int | None = Field(None, description="Of the feedback that was created or edited last.")
    mean_value_weight: float | None = Field(None, description="Σ(value × weight) ÷ count.")
    weighted_mean: float | None = Field(None, description="Σ(value × weight) ÷ Σ weight.")
    updated_at: datetime | None = Field(None, description="When the latest feedback event on it was accepted.")


class SpanPage(BaseModel):
    """Requests of the trace by time, those of this page arranged as a tree: parents before their children."""

    total: int = Field(description="How many there are.", examples=[1])
    data: list[TraceSpan]
    next_cursor: str | None = Field(description="`span_cursor` of the next page; null where there is no more.")


class FeedbackOfTrace(FeedbackTotals):
    """Feedback on the trace, newest first, deleted feedback too."""

    data: list[TraceFeedback]
    next_cursor: str | None = Field(description="`feedback_cursor` of the next page; null where there is no more.")


class Trace(BaseModel):
    """All that is known of a trace, a page of it."""

    object: Literal["trace"] = "trace"
    trace_id: str = Field(examples=["request-4711"])
    join_state: Literal["joined", "no_feedback", "no_request"] = Field(
        description="Whether its feedback has met its requests; `no_request` while feedback waits for one."
    )
    aggregates: TraceAggregates
    spans: SpanPage
    feedback: FeedbackOfTrace


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.query_timeout_s)
    router = APIRouter(tags=["reading"], responses=REFUSALS)
    _, size = openapi_page_parameters()
    cursors = [
        parameter(f"{name}_cursor", f"`{pages}.next_cursor` of the page before.", f"{kind}…")
        for name, pages, kind in (("span", "spans", SPANS), ("feedback", "feedback", FEEDBACK))
    ]
    for each in cursors:
        del each["example"]  # a cursor is only good where it was given

    @router.get(
        f"/v1/traces/{{trace_id:{ANY_TEXT}}}",
        summary="Everything on a trace",
        description="Percent-encode what a path cannot hold; slashes may stay as they are. Spans and feedback come in"
        " pages of `page_size`, each with its own cursor.",
        openapi_extra={"parameters": [*cursors, size]},
        responses={
            400: {
                "description": "A parameter is not valid.",
                **example(400, "span_cursor must be one that this list has answered with", "span_cursor"),
            },
            404: {"description": "Nothing is stored of it.", **example(404, "nothing is stored of it", "trace_id")},
            503: AWAY,
        },
    )
    async def get_trace(
        trace_id: Annotated[str, Path(examples=["request-4711"])],
        request: Request,
        caller: LogsReader,
        _: FeedbackReader,
    ) -> Trace:
        query, workspace = request.query_params, caller.workspace
        refuse_unknown(query, _PARAMETERS)
        trace_id, count = canonical_trace_id(trace_id), page_size_in(query)
        span_place, place = place_in(query, SPANS, "span_cursor"), place_in(query, FEEDBACK, "feedback_cursor")
        of_trace = {"workspace": workspace, "trace_id": trace_id}
        async with reader.query_deadline("the trace cannot be read"):
            numbers, spans, feedback = await answers_of(
                reader.rows(_NUMBERS, of_trace),
                spans_of(reader, workspace, trace_id, span_place, count),
                _feedback(reader, workspace, trace_id, place, count),
            )
        if not spans.total and not numbers and not feedback.total + feedback.deleted:
            raise ApiError(
                f"nothing is stored of the trace {trace_id[:60]!r}: no request and no feedback came with it, or it is"
                " still on its way",
                "trace_id",
                status=404,
            )
        return Trace(
            trace_id=trace_id,
            join_state=_join_state(spans.total, feedback),
            aggregates=TraceAggregates(**numbers[0]) if numbers else TraceAggregates(),
            spans=spans,
            feedback=feedback,
        )

    return router


def _span_query(workspace: str, trace_id: str, place: Place | None, count: int) -> tuple[str, dict[str, Any]]:
    conditions = conditions_on_requests(LogFilters(workspace, texts={"trace_id": (trace_id,)}), "l")
    conditions.add(requests_of_traces("l"), **hashes_of(workspace, [trace_id]))
    add_place(conditions, place, "l.started_at", "l.request_id", newest_first=False)
    query = f"""
        SELECT {COLUMNS} FROM feedback.request_log_rows AS l PREWHERE {conditions.text}
        ORDER BY l.started_at, l.request_id, {RANK_OF_REQUESTS} DESC
        LIMIT 1 BY l.started_at, l.request_id LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}


async def spans_of(reader: Reader, workspace: str, trace_id: str, place: Place | None, size: int) -> SpanPage:
    rows = await reader.rows(*_span_query(workspace, trace_id, place, size + 1))
    total = len(rows)
    if place or total > size:
        of_trace = {"workspace": workspace, "trace_id": trace_id, **hashes_of(workspace, [trace_id])}
        total = (await reader.rows(_SPAN_TOTAL, of_trace))[0]["total"]
    page = rows[:size]
    more = cursor_of(SPANS, page[-1]["created_at"], page[-1]["id"]) if len(rows) > size else None
    order = in_tree_order([Span(row["span_id"], row["parent_span_id"]) for row in page])
    spans = [TraceSpan(**fields_of(page[position]), depth=depth) for position, depth in order]
    return SpanPage(total=total, data=spans, next_cursor=more)


async def _feedback(reader: Reader, workspace: str, trace_id: str, place: Place | None, size: int) -> FeedbackOfTrace:
    found = await feedback_with_history(reader, workspace, trace_id, place, size + 1)
    page, is_whole = found[:size], not place and len(found) <= size
    feedback = [each for _, each in page]
    totals = FeedbackTotals.of(feedback) if is_whole else await feedback_totals(reader, workspace, trace_id)
    more = cursor_of(FEEDBACK, page[-1][0], page[-1][1].id) if len(found) > size else None
    return FeedbackOfTrace(**totals.model_dump(), data=feedback, next_cursor=more)


def _join_state(requests: int, feedback: FeedbackTotals) -> Literal["joined", "no_feedback", "no_request"]:
    if not feedback.total + feedback.deleted:
        return "no_feedback"
    return "joined" if requests else "no_request"

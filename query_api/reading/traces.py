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
from query_api.exact_quotients import float_of, quotient_of
from query_api.filters.conditions import Conditions, conditions_on_requests
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
from query_api.trace_journal import TraceJournal, journal_of
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError
from schemas.ids import canonical_trace_id

SPANS, FEEDBACK = "s", "f"

_PARAMETERS = ("span_cursor", "feedback_cursor", "page_size")
# The view trace_aggregates by hand: FINAL would read whatever overlaps the granule that holds this trace.
_NUMBERS = f"""
SELECT feedback_count, weight_sum, value_weight_sum, weight_value_squared_sum, value_min, value_max, value_last,
    updated_at, is_expired
FROM feedback.trace_aggregate_rows PREWHERE workspace = {{workspace:String}} AND trace_id = {{trace_id:String}}
ORDER BY {RANK} DESC LIMIT 1
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
        async with reader.query_deadline("the trace cannot be read"):
            aggregates, (spans, feedback) = await answers_of(
                _aggregates(reader, workspace, trace_id),
                _pages(reader, workspace, trace_id, span_place, place, count),
            )
        if not spans.total and not aggregates and not feedback.total + feedback.deleted:
            raise ApiError(
                f"nothing is stored of the trace {trace_id[:60]!r}: no request and no feedback came with it, or it is"
                " still on its way",
                "trace_id",
                status=404,
            )
        return Trace(
            trace_id=trace_id,
            join_state=_join_state(spans.total, feedback),
            aggregates=aggregates or TraceAggregates(),
            spans=spans,
            feedback=feedback,
        )

    return router


async def _aggregates(reader: Reader, workspace: str, trace_id: str) -> TraceAggregates | None:
    """None where there are none, or no more."""
    for row in await reader.rows(_NUMBERS, {"workspace": workspace, "trace_id": trace_id}):
        if not row.pop("is_expired"):
            count, weight, total = row["feedback_count"], row["weight_sum"], row["value_weight_sum"]
            sums = {name: float_of(row[name]) for name in row if name.endswith("_sum")}
            return TraceAggregates(
                **row | sums,
                mean_value_weight=quotient_of(total, count) if count else None,
                weighted_mean=quotient_of(total, weight) if weight else None,
            )
    return None


async def _pages(
    reader: Reader, workspace: str, trace_id: str, span_place: Place | None, place: Place | None, size: int
) -> tuple[SpanPage, FeedbackOfTrace]:
    journal = await journal_of(reader, workspace, trace_id)
    return await answers_of(
        spans_of(reader, workspace, trace_id, journal, span_place, size),
        _feedback(reader, workspace, trace_id, journal, place, size),
    )


def _of_trace(workspace: str, trace_id: str, journal: TraceJournal) -> Conditions:
    conditions = conditions_on_requests(LogFilters(workspace, texts={"trace_id": (trace_id,)}), "l")
    conditions.add(journal.requests("l"), **journal.keys)
    return conditions


def _span_query(conditions: Conditions, place: Place | None, count: int) -> tuple[str, dict[str, Any]]:
    add_place(conditions, place, "l.started_at", "l.request_id", newest_first=False)
    query = f"""
        SELECT {COLUMNS} FROM feedback.request_log_rows AS l PREWHERE {conditions.text}
        ORDER BY l.started_at, l.request_id, {RANK_OF_REQUESTS} DESC
        LIMIT 1 BY l.started_at, l.request_id LIMIT {{count:UInt32}}
    """
    return query, conditions.parameters | {"count": count}


async def spans_of(
    reader: Reader, workspace: str, trace_id: str, journal: TraceJournal, place: Place | None, size: int
) -> SpanPage:
    """A page of the requests of a trace. Raises what the client raises."""
    rows = await reader.rows(*_span_query(_of_trace(workspace, trace_id, journal), place, size + 1))
    total = len(rows)
    if place or total > size:
        all_spans = _of_trace(workspace, trace_id, journal)
        count = f"SELECT uniqExact(l.request_id) AS total FROM feedback.request_log_rows AS l PREWHERE {all_spans.text}"
        total = (await reader.rows(count, all_spans.parameters))[0]["total"]
    page = rows[:size]
    more = cursor_of(SPANS, page[-1]["created_at"], page[-1]["id"]) if len(rows) > size else None
    order = in_tree_order([Span(row["span_id"], row["parent_span_id"]) for row in page])
    spans = [TraceSpan(**fields_of(page[position]), depth=depth) for position, depth in order]
    return SpanPage(total=total, data=spans, next_cursor=more)


async def _feedback(
    reader: Reader, workspace: str, trace_id: str, journal: TraceJournal, place: Place | None, size: int
) -> FeedbackOfTrace:
    found = await feedback_with_history(reader, workspace, trace_id, journal, place, size + 1)
    page, is_whole = found[:size], not place and len(found) <= size
    feedback = [each for _, each in page]
    totals = FeedbackTotals.of(feedback) if is_whole else await feedback_totals(reader, workspace, trace_id, journal)
    more = cursor_of(FEEDBACK, page[-1][0], page[-1][1].id) if len(found) > size else None
    return FeedbackOfTrace(**totals.model_dump(), data=feedback, next_cursor=more)


def _join_state(requests: int, feedback: FeedbackTotals) -> Literal["joined", "no_feedback", "no_request"]:
    if not feedback.total + feedback.deleted:
        return "no_feedback"
    return "joined" if requests else "no_request"

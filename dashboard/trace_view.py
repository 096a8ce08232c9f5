"""The content of the trace page, and of the drawer beside a list."""

import time
from typing import Any

from dashboard.api_client import in_path
from dashboard.conversation import conversation
from dashboard.page_query import PageQuery
from dashboard.pages import Viewer
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError
from runtime.times import parse_time, unix_ms


async def opened_trace(viewer: Viewer, query: PageQuery) -> dict[str, Any] | None:
    """The trace that is open beside a list, or the error if it cannot be shown; None if no trace is open."""
    trace_id = query.get("open")
    if not trace_id:
        return None
    try:
        return await trace_view(viewer, trace_id, query.get("span"))
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return {"trace_id": trace_id, "problem": error}


async def trace_view(viewer: Viewer, trace_id: str, span: str = "") -> dict[str, Any]:
    """The trace, with one request in detail: that with the id `span`, else the first. Raises ApiError."""
    trace, chosen = await answers_of(viewer.api.get(f"/v1/traces/{in_path(trace_id)}"), _request(viewer, span))
    spans = trace["spans"]["data"]
    if chosen is None or chosen["trace_id"] != trace_id:
        chosen = await _request(viewer, spans[0]["id"]) if spans else None
    messages = conversation(chosen["request"]["body"], chosen["response"]["body"]) if chosen else []
    return {
        "trace_id": trace_id,
        "trace": trace,
        "lines": timeline(spans),
        "request": chosen,
        "messages": messages,
        "problem": None,
        "now": time.time(),
    }


def timeline(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each span with the begin and the width of its bar, in percent of the whole trace."""
    began = [unix_ms(parse_time(each["created_at"])) for each in spans]
    ended = [start + (each["response_time"] or 0) for start, each in zip(began, spans, strict=True)]
    first = min(began, default=0)
    whole = max(ended, default=0) - first or 1
    return [
        {**each, "offset": 100 * (start - first) / whole, "width": max(100 * (end - start) / whole, 0.5)}
        for each, start, end in zip(spans, began, ended, strict=True)
    ]


async def _request(viewer: Viewer, log_id: str) -> dict[str, Any] | None:
    if not log_id:
        return None
    found: dict[str, Any] = await viewer.api.get(f"/v1/logs/{in_path(log_id)}")
    return found

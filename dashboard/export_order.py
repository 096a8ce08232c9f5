"""Turns the query of a page into an order of an export with exactly its rows. Pure."""

from datetime import datetime
from typing import Any

from dashboard.page_query import PageQuery

LOGS = "logs"
FORMATS = {"csv": "CSV, for spreadsheets", "jsonl": "JSON, a line for each", "parquet": "Parquet"}
_WITHOUT_BODIES = (
    *("id", "trace_id", "created_at", "metadata", "prompt_slug", "span_id", "span_name", "ai_org", "ai_model"),
    *("response_status_code", "response_time", "req_units", "res_units", "total_units", "cost"),
)


def order_of(kind: str, form: str, query: PageQuery, now: datetime, *, with_bodies: bool = False) -> dict[str, Any]:
    """The body of the API call. A filter that occurs more than once becomes a list, as in a query string."""
    values: dict[str, list[str]] = {}
    for name, value in query.for_api(now):
        values.setdefault(name, []).append(value)
    order: dict[str, Any] = {
        "kind": kind,
        "format": form,
        "filters": {name: given[0] if len(given) == 1 else given for name, given in values.items()},
        "description": f"{query.range_label}, from the dashboard",
    }
    if kind == LOGS and not with_bodies:
        order["requested_data"] = _WITHOUT_BODIES
    return order

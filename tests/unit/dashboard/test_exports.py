"""An order of an export takes exactly what a page shows, and what the API refuses is told in its words."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from dashboard.export_order import order_of
from dashboard.page_query import PageQuery
from query_api.exports.orders import Order, order_in
from query_api.filters.feedback_parameters import feedback_filters_in_query
from query_api.filters.parameters import filters_in_query

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ai_model=a&ai_model=b,c&status_code=200&range=7d",
        "trace_id=one,two&has_feedback=false&cost_min=0.5",
        "meta.plan=pro&meta.a,b=%22x%22&user=ada&open=trace&cursor=c&key=plan",
        "time_of_generation_min=2026-10-01&response_time_max=9&ai_org_model=openai__gpt-4o",
    ],
)
def test_an_order_has_the_filters_of_the_list_beside_it(text: str) -> None:
    query = PageQuery.of_text(text)
    order = order_in(order_of("logs", "csv", query, NOW), "w", Order.at(NOW))
    assert order.as_filters("w") == filters_in_query(_sent(query), "w")
    order = order_in(order_of("feedback", "jsonl", query, NOW), "w", Order.at(NOW))
    assert order.as_filters("w") == feedback_filters_in_query(_sent(query), "w")


def test_bodies_are_in_the_file_where_they_are_asked_for() -> None:
    def columns(**given: Any) -> list[str]:
        return order_in(order_of("logs", "csv", PageQuery(), NOW, **given), "w", Order.at(NOW)).columns

    assert {"request", "response", "feedback"} <= set(columns(with_bodies=True))
    assert {"request", "response"}.isdisjoint(columns())
    assert "feedback" in columns()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "10 exports of this workspace are in progress: wait until one has ended"),
        (507, "the disk of exported files has 5 bytes free"),
        (403, "the API key abc lacks the scope feedback.read, which exports with feedback need as well"),
    ],
)
async def test_a_refusal_is_told_and_leaves_no_export(status: int, message: str) -> None:
    calls: list[str] = []

    async def caller(_: Request) -> JSONResponse:
        return JSONResponse({"workspace": "w", "scopes": ["logs.read"], "key_id": "abc"})

    async def answer(request: Request) -> JSONResponse:
        calls.append(f"{request.method} {request.url.path}")
        if request.url.path.endswith("/start"):
            return JSONResponse({"error": {"message": message, "param": None}}, status)
        return JSONResponse({"id": "one", "data": [], "total": 0})

    api = Starlette(routes=[
        Route("/v1/caller", caller),
        *(Route(f"/v1/logs/exports{path}", answer, methods=["GET", "POST", "DELETE"])
          for path in ("", "/{id}", "/{id}/start")),
    ])  # fmt: skip
    pages = Starlette(routes=dashboard_routes(ApiClient(app=api), "http://api"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://site") as site:
        form = {"kind": "logs", "format": "csv", "query": "?range=1h"}
        reply = await site.post("/exports", data=form, headers={"sec-fetch-site": "same-origin"})
    assert (reply.status_code, message in reply.text) == (status, True)
    assert calls[-2:] == ["DELETE /v1/logs/exports/one", "GET /v1/logs/exports"]


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ({}, "Requests"),
        ({"time_of_generation_min": "2026-10-01"}, "2026-10-01 00:00:00</local-time> to now"),
        ({"time_of_generation_max": "2026-10-01T00:00:00+02:00"}, "until <local-time"),
        ({"time_of_generation_min": "2026-10-01T00:00:00 02:00"}, "2026-10-01T00:00:00 02:00</local-time> to now"),
    ],
)
async def test_exports_are_listed_however_their_order_was_written(filters: dict[str, str], told: str) -> None:
    ordered = order_in({"filters": filters}, "w", Order.at(NOW))
    ordered.as_filters("w")

    async def caller(_: Request) -> JSONResponse:
        return JSONResponse({"workspace": "w", "scopes": ["logs.read"], "key_id": "abc"})

    async def answer(_: Request) -> JSONResponse:
        one = {"id": "one", "kind": "logs", "format": "csv", "status": "draft", "error": None, "total_records": 0}
        one |= {"created_at": "2026-11-01T00:00:00Z", "filters": ordered.filters, "progress": {"bytes_written": 0}}
        return JSONResponse({"data": [one], "total": 1})

    api = Starlette(routes=[Route("/v1/caller", caller), Route("/v1/logs/exports", answer)])
    pages = Starlette(routes=dashboard_routes(ApiClient(app=api), "http://api"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url="http://site") as site:
        reply = await site.get("/exports")
    assert (reply.status_code, told in reply.text) == (200, True)


def _sent(query: PageQuery) -> QueryParams:
    """The parameters of the list, as the API gets them."""
    return QueryParams(str(httpx.QueryParams(query.for_api(NOW))))

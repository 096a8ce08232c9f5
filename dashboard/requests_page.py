"""`/requests`: counts, errors, latency and cost of requests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard import facets
from dashboard.pages import Pages, Viewer, query_of
from dashboard.sorting import Sorting
from dashboard.time_chart import bucket_for, fields_over_time, part_of
from dashboard.viewer_zone import zone_of
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError

_PATH = "/requests"
_GRAPHS = "/v1/analytics/graphs"
_GROUPS = "/v1/analytics/groups"
_OF_OVERVIEW = ("requests", "latency", "tokens", "cost")
_SHOWN_GROUPS = 15
_TABLES = (("By model", "ai-models", "ai_model", "Model"), ("By user", "users", "user", "User"))
COLUMNS = {
    "requests": "Requests",
    "error_count": "Errors",
    "p50_latency": "p50",
    "p90_latency": "p90",
    "p99_latency": "p99",
    "total_tokens": "Tokens",
    "cost": "Cost",
}
"""What the tables tell of a group; one of them is what they are sorted by."""
MEANINGS = {
    "error_count": "A status of 400 or more, or none of HTTP",
    "p50_latency": "Half of the requests took this long, or less",
    "p90_latency": "90 % of the requests took this long, or less",
    "p99_latency": "99 % of the requests took this long, or less",
}

Graph = Mapping[str, Any]


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def requests(request: Request, viewer: Viewer) -> Response:
        return pages.render(request, viewer, "requests.html")

    async def charts(request: Request, viewer: Viewer) -> Response:
        query, now = query_of(request), datetime.now(UTC)
        asked = query.for_api(now)
        over_time = [*asked, ("time_zone", zone_of(request)), *bucket_for(*query.times(now))]
        # Only how many users there are in all is shown: the fewer buckets, the sooner they are counted.
        by_month = [*asked, ("bucket", "month")]
        graphs = (("requests/overview", over_time), ("users", by_month), ("errors/status-codes", asked))
        found, problem = await _all(viewer, [(f"{_GRAPHS}/{name}", parameters) for name, parameters in graphs])
        context: dict[str, Any] = {"problem": problem}
        if not problem:
            overview, users, codes = found
            rate, latency, tokens, cost = (part_of(overview, part) for part in _OF_OVERVIEW)
            context |= {
                "sums": {"rate": rate["summary"], "latency": latency["summary"], "tokens": tokens["summary"],
                         "cost": cost["summary"], "users": users["summary"]},
                "codes": codes["data_points"],
                "charts": _charts(rate, latency, tokens, cost),
            }  # fmt: skip
        return pages.render(request, viewer, "requests_charts.html", **context)

    async def tables(request: Request, viewer: Viewer) -> Response:
        query = query_of(request)
        sorting = Sorting(query, _PATH, "-requests")
        asked = [
            *query.for_api(datetime.now(UTC)),
            ("columns", ",".join(COLUMNS)),
            ("order_by", sorting.name),
            ("order_by_type", sorting.direction),
            ("page_size", str(_SHOWN_GROUPS)),
        ]
        found, problem = await _all(viewer, [(f"{_GROUPS}/{path}", asked) for _, path, _, _ in _TABLES])
        shown = [] if problem else list(zip(_TABLES, found, strict=True))
        return pages.render(
            request,
            viewer,
            "requests_tables.html",
            tables=shown,
            problem=problem,
            columns=COLUMNS,
            meanings=MEANINGS,
            sorting=sorting,
        )

    return [
        pages.get(_PATH, requests),
        pages.get(f"{_PATH}/charts", charts),
        pages.get(f"{_PATH}/tables", tables),
        *facets.facet_routes(pages, _PATH, facets.REQUESTS),
    ]


def _charts(rate: Graph, latency: Graph, tokens: Graph, cost: Graph) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """The charts, each with its name and how it is drawn."""
    if not cost["summary"]["n"]:
        # That nobody tells what requests cost does not mean that they are free.
        cost = {**cost, "summary": {**cost["summary"], "total": None}}
    return (
        (
            "Requests and errors",
            "bars",
            fields_over_time(rate, {"Requests": "requests", "Errors": "errors"}, {"Errors": "bad"}),
        ),
        ("Latency in ms", "lines", fields_over_time(latency, {"p50": "p50", "p90": "p90", "p99": "p99"}, unit="ms")),
        ("Tokens", "lines", fields_over_time(tokens, {"Input": "input", "Output": "output"})),
        ("Cost in US dollars", "bars", fields_over_time(cost, {"Cost": "total"}, {"Cost": "accent"}, "dollars")),
    )


async def _all(viewer: Viewer, asked: list[tuple[str, list[tuple[str, str]]]]) -> tuple[list[Any], ApiError | None]:
    """The answers of the API to all of these, or the ApiError of one with a wrong parameter."""
    try:
        return list(await answers_of(*[viewer.api.get(path, parameters) for path, parameters in asked])), None
    except ApiError as error:
        if error.status != 400:
            raise
        return [], error

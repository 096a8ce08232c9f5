"""`/analytics`: counts, values and groups of feedback, and whether it has changed.

The page loads without data; each of its parts loads separately, as soon as the API has answered.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from dashboard import facets
from dashboard.comparison_sides import AGAINST, BEFORE, Sides, against, two_values, with_time_before, without
from dashboard.group_fields import key_of
from dashboard.group_table import BY, PAGE_SIZE, GroupTable
from dashboard.interval_bars import scale_of
from dashboard.list_page import get_or_none
from dashboard.page_query import PageQuery
from dashboard.pages import Pages, Viewer, query_of
from dashboard.time_chart import FOR_MEANS, bucket_for, mean_over_time, signs_over_time
from dashboard.value_bars import value_bars
from dashboard.verdict import verdict
from dashboard.viewer_zone import zone_of
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError

_GRAPHS = "/v1/analytics/graphs"
_MOST_VALUES = "100"
_MOST_ENVIRONMENTS = "1000"

Asked = list[tuple[str, str]]
Part = Callable[[Request, Viewer, PageQuery, datetime], Awaitable[dict[str, Any]]]


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def analytics(request: Request, viewer: Viewer) -> Response:
        return pages.render(request, viewer, "analytics.html", groups=_table(request), by=BY, against_label=AGAINST)

    def part(name: str, build: Part) -> BaseRoute:
        async def shown(request: Request, viewer: Viewer) -> Response:
            query, problem = query_of(request), None
            context: dict[str, Any] = {}
            try:
                context = await build(request, viewer, query, datetime.now(UTC))
            except ApiError as error:
                if error.status == 401 or error.status >= 500:
                    raise
                problem = error
            template = "analytics_problem.html" if problem else f"analytics_{name}.html"
            status = problem.status if problem else 200
            return pages.render(request, viewer, template, status=status, part=name, problem=problem, **context)

        return pages.get(f"/analytics/{name}", shown)

    return [
        pages.get("/analytics", analytics),
        part("figures", _figures),
        part("coverage", _coverage),
        part("charts", _charts),
        part("groups", _groups),
        part("comparison", _comparison),
        *facets.facet_routes(pages, "/analytics", facets.FEEDBACK_OF_REQUESTS),
    ]


def _table(request: Request) -> GroupTable:
    return GroupTable(query_of(request))


async def _figures(_: Request, viewer: Viewer, query: PageQuery, now: datetime) -> dict[str, Any]:
    return {"means": (await viewer.api.get(f"{_GRAPHS}/feedbacks/weighted", _in_all(query, now)))["summary"]}


async def _coverage(_: Request, viewer: Viewer, query: PageQuery, now: datetime) -> dict[str, Any]:
    """The share of requests with feedback. The other figures do not wait for it, since with filters it looks at every
    request. Without, the API adds up days that it keeps of the few environments."""
    if not query.filters:
        of_time = [*query.for_api(now), ("page_size", _MOST_ENVIRONMENTS)]
        groups = await get_or_none(viewer, "/v1/analytics/groups/metadata/_environment", of_time)
        if groups and groups["total"] == len(groups["data"]):
            sums = (sum(each[name] for each in groups["data"]) for name in ("requests", "requests_with_feedback"))
            return _share(*sums)
    asked = _in_all(query, now)
    with_feedback = [*(each for each in asked if each[0] != "has_feedback"), ("has_feedback", "true")]
    answers = await answers_of(
        get_or_none(viewer, f"{_GRAPHS}/requests", asked), get_or_none(viewer, f"{_GRAPHS}/requests", with_feedback)
    )
    return _share(*(each["summary"]["total"] if each else None for each in answers))


def _share(requests: int | None, judged: int | None) -> dict[str, Any]:
    coverage = judged / requests if requests and judged is not None else None
    return {"judged": judged, "requests": requests, "coverage": coverage}


def _in_all(query: PageQuery, now: datetime) -> Asked:
    """What asks for the numbers of the whole time, by the longest steps that there are."""
    return [*query.for_api(now), ("bucket", "month")]


async def _charts(request: Request, viewer: Viewer, query: PageQuery, now: datetime) -> dict[str, Any]:
    asked = query.for_api(now)
    over_time = [*asked, ("time_zone", zone_of(request)), *bucket_for(*query.times(now), FOR_MEANS)]
    counts, means, scores = await answers_of(
        viewer.api.get(f"{_GRAPHS}/feedbacks", over_time),
        viewer.api.get(f"{_GRAPHS}/feedbacks/intervals", over_time),
        viewer.api.get(f"{_GRAPHS}/feedbacks/scores", asked),
    )
    return {
        "signs": signs_over_time(counts),
        "mean": mean_over_time(means),
        "all": means["summary"],
        "bucket": counts["bucket"],
        "bars": value_bars(scores["data_points"]),
    }


async def _groups(request: Request, viewer: Viewer, query: PageQuery, now: datetime) -> dict[str, Any]:
    table = _table(request)
    found, keys = await answers_of(
        viewer.api.get("/v1/analytics/groups/feedback", [*query.for_api(now), *table.asked()]),
        get_or_none(viewer, "/v1/logs/facets", [*query.for_api(now), ("fields", "metadata"), ("limit", "30")]),
    )
    rows = found["data"]
    return {
        "groups": table,
        "by": BY,
        "found": found,
        "most": max((each["n"] for each in rows), default=1),
        "scale": scale_of(rows),
        "page_size": PAGE_SIZE,
        "keys": [each["value"] for each in keys["facets"][0]["values"]] if keys else [],
    }


async def _comparison(request: Request, viewer: Viewer, query: PageQuery, now: datetime) -> dict[str, Any]:
    kind = against(query)
    values = [] if kind == BEFORE else await _values(viewer, query, now, kind)
    sides = with_time_before(query, now) if kind == BEFORE else two_values(query, now, kind, values)
    comparison = await _compared(viewer, sides) if sides else None
    return {
        "kind": kind,
        "against_label": AGAINST,
        "keys": list(dict.fromkeys(key for key in (key_of(kind), _table(request).key) if key)),
        "values": values,
        "sides": sides,
        "comparison": comparison,
    }


async def _values(viewer: Viewer, query: PageQuery, now: datetime, field: str) -> list[str]:
    """The values of a field of feedback or of a metadata key, the most frequent first."""
    asked = [*without(query, field).for_api(now), ("by", field), ("page_size", _MOST_VALUES)]
    found = await viewer.api.get("/v1/analytics/groups/feedback", asked)
    return [each["value"] for each in found["data"] if each["value"]]


async def _compared(viewer: Viewer, sides: Sides) -> dict[str, Any]:
    found = await viewer.api.get("/v1/analytics/comparison", sides.asked)
    both, change = (found["current"], found["baseline"]), found["difference"]["weighted_mean"]
    return {
        "sides": list(zip((sides.current, sides.baseline), both, strict=True)),
        "change": change,
        "avg_change": found["difference"]["avg"],
        "scale": scale_of(both),
        "verdict": verdict(*both, change),
    }

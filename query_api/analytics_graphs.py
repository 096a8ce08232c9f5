"""`GET /v1/analytics/graphs/feedbacks…`: how much feedback, of what value, with what means, over time and by model.

Feedback counts in the bucket in which it was accepted (`created_at`), from `time_of_generation_min` up to, and without,
`time_of_generation_max`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import add
from typing import Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request

from query_api.analytics_answers import (
    Graph,
    Means,
    MeansAt,
    ModelMeans,
    Nothing,
    ScoreTotal,
    TimeGraph,
    Total,
    TotalAt,
)
from query_api.analytics_plan import Piece, Plan, plan
from query_api.analytics_sums import VALUES, Sums, sums_of_feedback
from query_api.analytics_time import BUCKETS, Bucket, Timeline, bucket_of, timeline, zone_of
from query_api.answers import QueryError, example
from query_api.callers import REFUSALS, AnalyticsReader, Caller
from query_api.engines import AWAY, Engines
from query_api.log_filters import filters_in_query, openapi_parameters, parameter
from query_api.settings import QuerySettings

UNTOLD = "these numbers cannot be told"
FAILURES: dict[int | str, dict[str, Any]] = REFUSALS | {
    400: {"description": "A parameter is faulty.", **example(400, "status_code must be an HTTP status", "status_code")},
    503: AWAY,
}

_READ_FROM = parameter("read_from", "`rows` leaves rollups aside; by default they serve where they can.", "rows")
_ONE = [*openapi_parameters(time_required=True), _READ_FROM]
_MANY = [
    *_ONE,
    parameter("bucket", f"{', '.join(BUCKETS)}; by default hours up to 3 days, days up to 92, weeks to 731.", "day"),
    parameter("time_zone", "IANA name of the zone in which buckets begin; UTC by default.", "Europe/Berlin"),
]
_OWN = ("bucket", "time_zone", "read_from")


@dataclass(frozen=True)
class Told:
    """The sums of a graph by bucket and model, and how they were come by."""

    when: Timeline
    bucket: Bucket
    zone: ZoneInfo
    sums: dict[tuple[datetime, str], Sums]
    read_from: Literal["rows", "rollups"]

    @property
    def all(self) -> Sums:
        """Of everything that was asked for, where models were not."""
        return together(self.sums.values())

    def points(self) -> list[tuple[datetime, Sums]]:
        """Every bucket's start, in the zone asked for, and its sums."""
        return [(start.astimezone(self.zone), self.sums.get((start, ""), Sums())) for start in self.when.starts]


def together(parts: Iterable[Sums]) -> Sums:
    """All of them as one group."""
    return reduce(add, parts, Sums())


def means(sums: Sums) -> dict[str, Any]:
    """What every answer with means says of a group."""
    return {"avg": sums.avg, "weighted_mean": sums.weighted_mean, "n": sums.n}


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(prefix="/v1/analytics/graphs", tags=["analytics"])

    async def told(request: Request, caller: Caller, *, over_time: bool = False, by_model: bool = False) -> Told:
        own = _OWN if over_time else ("read_from",)
        filters = filters_in_query(request.query_params, caller.workspace, own, time_required=True)
        assert filters.since
        assert filters.until
        zone = zone_of(request.query_params.get("time_zone", "UTC"))
        bucket = bucket_of(request.query_params.get("bucket"), filters.since, filters.until)
        when = Timeline(filters.since, filters.until, (filters.since,))
        if over_time:
            when = timeline(filters.since, filters.until, bucket, zone)
        chosen = plan(filters, when, by_model, datetime.now(UTC))
        if (read_from := request.query_params.get("read_from", "rollups")) not in ("rows", "rollups"):
            raise QueryError(f"read_from must be rows or rollups, got {read_from[:60]!r}", "read_from")
        if read_from == "rows":
            chosen = Plan((Piece("rows", filters.since, filters.until),))
        async with reader.told_in_time(UNTOLD):
            sums = await sums_of_feedback(reader, filters, when, chosen, by_model=by_model)
        is_rows = all(piece.source == "rows" for piece in chosen.pieces)
        return Told(when, bucket, zone, sums, "rows" if is_rows else "rollups")

    @router.get("/feedbacks", summary="How much feedback", responses=FAILURES, openapi_extra={"parameters": _MANY})
    async def feedbacks(request: Request, caller: AnalyticsReader) -> TimeGraph[Total, TotalAt]:
        found = await told(request, caller, over_time=True)
        points = [TotalAt(timestamp=start, total=sums.n) for start, sums in found.points()]
        return TimeGraph(summary=Total(total=found.all.n), data_points=points, **_shape(found))

    @router.get(
        "/feedbacks/weighted",
        summary="The means of feedback",
        responses=FAILURES,
        openapi_extra={"parameters": _MANY},
    )
    async def weighted(request: Request, caller: AnalyticsReader) -> TimeGraph[Means, MeansAt]:
        found = await told(request, caller, over_time=True)
        points = [MeansAt(timestamp=start, **means(sums)) for start, sums in found.points()]
        return TimeGraph(summary=Means(**means(found.all)), data_points=points, **_shape(found))

    @router.get("/feedbacks/score", include_in_schema=False)
    @router.get(
        "/feedbacks/scores",
        summary="How much feedback of each value",
        description="Values that nobody gave are left out. Also found at `/v1/analytics/graphs/feedbacks/score`.",
        responses=FAILURES,
        openapi_extra={"parameters": _ONE},
    )
    async def scores(request: Request, caller: AnalyticsReader) -> Graph[Total, ScoreTotal]:
        found = await told(request, caller)
        counts = zip(VALUES, found.all.value_counts, strict=True)
        points = [ScoreTotal(score=value, total=count) for value, count in counts if count]
        return Graph(summary=Total(total=found.all.n), data_points=points, read_from=found.read_from)

    @router.get(
        "/feedbacks/ai-models",
        summary="The means of feedback by model",
        description="Feedback counts under each model of its trace; with `ai_model`, only those models are listed.",
        responses=FAILURES,
        openapi_extra={"parameters": _ONE},
    )
    async def ai_models(request: Request, caller: AnalyticsReader) -> Graph[Nothing, ModelMeans]:
        found = await told(request, caller, by_model=True)
        groups = sorted(
            ((model, sums) for (_, model), sums in found.sums.items()), key=lambda each: (-each[1].n, each[0])
        )
        points = [
            ModelMeans(
                ai_model=model, total=sums.n, avg_weighted_feedback=sums.avg, weighted_mean=sums.weighted_mean
            )
            for model, sums in groups
        ]  # fmt: skip
        return Graph(summary=Nothing(), data_points=points, read_from=found.read_from)

    return router


def _shape(found: Told) -> dict[str, Any]:
    return {"read_from": found.read_from, "bucket": found.bucket, "time_zone": found.zone.key}

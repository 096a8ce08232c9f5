"""`GET /v1/analytics/graphs/feedbacks…`: how much feedback, of what value, with what means, over time and by model.

Feedback counts in the bucket in which it was accepted (`created_at`), from `time_of_generation_min` up to, and without,
`time_of_generation_max`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any, Literal

from fastapi import APIRouter, Request

from query_api.analytics.parameters import (
    BUCKET_PARAMETERS,
    FAILURES,
    NO_ANSWER,
    READ_FROM,
    GraphQuestion,
    graph_question,
    plan_asked,
)
from query_api.analytics.responses import (
    FeedbackGraph,
    FeedbackTimeGraph,
    Means,
    MeansAt,
    ModelMeans,
    Nothing,
    ScoreTotal,
    SignTotals,
    SignTotalsAt,
    Total,
)
from query_api.analytics.sums import VALUES, Sums, sums_of_feedback
from query_api.auth import AnalyticsReader, Caller
from query_api.clickhouse import Engines
from query_api.filters.parameters import openapi_parameters
from query_api.settings import QuerySettings

_ONE = [*openapi_parameters(time_required=True), READ_FROM]
_MANY = [*_ONE, *BUCKET_PARAMETERS]


@dataclass(frozen=True)
class FoundSums:
    """The sums of a graph by bucket and model, and how they were come by."""

    asked: GraphQuestion
    sums: dict[tuple[datetime, str], Sums]
    read_from: Literal["rows", "rollups"]

    @property
    def all(self) -> Sums:
        """Of everything that was asked for, where models were not."""
        return sum_of(self.sums.values())

    def points(self) -> list[tuple[datetime, Sums]]:
        """Every bucket's start, in the zone asked for, and its sums."""
        starts = self.asked.when.starts
        return [(start.astimezone(self.asked.zone), self.sums.get((start, ""), Sums())) for start in starts]


def sum_of(parts: Iterable[Sums]) -> Sums:
    """All of them as one group."""
    return reduce(add, parts, Sums())


def means(sums: Sums) -> dict[str, Any]:
    """What every answer with means says of a group."""
    return {"avg": sums.avg, "weighted_mean": sums.weighted_mean, "n": sums.n}


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The routes."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(prefix="/v1/analytics/graphs", tags=["analytics"])

    async def sums_for(
        request: Request, caller: Caller, *, over_time: bool = False, by_model: bool = False
    ) -> FoundSums:
        query = request.query_params
        asked = graph_question(query, caller.workspace, ("read_from",), over_time=over_time)
        chosen = plan_asked(query, asked.filters, asked.when, "model" if by_model else None)
        async with reader.query_deadline(NO_ANSWER):
            sums, read = await sums_of_feedback(reader, asked.filters, asked.when, chosen, by_model=by_model)
        return FoundSums(asked, sums, read.read_from)

    @router.get("/feedbacks", summary="How much feedback", responses=FAILURES, openapi_extra={"parameters": _MANY})
    async def feedbacks(request: Request, caller: AnalyticsReader) -> FeedbackTimeGraph[SignTotals, SignTotalsAt]:
        found = await sums_for(request, caller, over_time=True)
        points = [SignTotalsAt(timestamp=start, total=sums.n, **sums.signs) for start, sums in found.points()]
        summary = SignTotals(total=found.all.n, **found.all.signs)
        return FeedbackTimeGraph(summary=summary, data_points=points, **_shape(found))

    @router.get(
        "/feedbacks/weighted",
        summary="The means of feedback",
        responses=FAILURES,
        openapi_extra={"parameters": _MANY},
    )
    async def weighted(request: Request, caller: AnalyticsReader) -> FeedbackTimeGraph[Means, MeansAt]:
        found = await sums_for(request, caller, over_time=True)
        points = [MeansAt(timestamp=start, **means(sums)) for start, sums in found.points()]
        return FeedbackTimeGraph(summary=Means(**means(found.all)), data_points=points, **_shape(found))

    @router.get("/feedbacks/score", include_in_schema=False)
    @router.get(
        "/feedbacks/scores",
        summary="How much feedback of each value",
        description="Values that nobody gave are left out. Also found at `/v1/analytics/graphs/feedbacks/score`.",
        responses=FAILURES,
        openapi_extra={"parameters": _ONE},
    )
    async def scores(request: Request, caller: AnalyticsReader) -> FeedbackGraph[Total, ScoreTotal]:
        found = await sums_for(request, caller)
        counts = zip(VALUES, found.all.value_counts, strict=True)
        points = [ScoreTotal(score=value, total=count) for value, count in counts if count]
        return FeedbackGraph(summary=Total(total=found.all.n), data_points=points, read_from=found.read_from)

    @router.get(
        "/feedbacks/ai-models",
        summary="The means of feedback by model",
        description="Feedback counts under each model of its trace; with `ai_model`, only those models are listed.",
        responses=FAILURES,
        openapi_extra={"parameters": _ONE},
    )
    async def ai_models(request: Request, caller: AnalyticsReader) -> FeedbackGraph[Nothing, ModelMeans]:
        found = await sums_for(request, caller, by_model=True)
        return FeedbackGraph(summary=Nothing(), data_points=_models(found), read_from=found.read_from)

    return router


def _models(found: FoundSums) -> list[ModelMeans]:
    """The means by model, that with most feedback first."""
    groups = sorted(((model, sums) for (_, model), sums in found.sums.items()), key=lambda each: (-each[1].n, each[0]))
    return [
        ModelMeans(ai_model=model, total=sums.n, avg_weighted_feedback=sums.avg, weighted_mean=sums.weighted_mean)
        for model, sums in groups
    ]


def _shape(found: FoundSums) -> dict[str, Any]:
    return {"read_from": found.read_from, "bucket": found.asked.bucket, "time_zone": found.asked.zone.key}

"""`GET /v1/analytics/graphs/feedbacks/intervals`: the means of feedback over time, and how sure they are."""

from datetime import UTC, datetime
from functools import reduce
from operator import add

from fastapi import APIRouter, Request

from query_api.analytics_answers import FeedbackTimeGraph
from query_api.analytics_intervals import (
    MeansWithErrors,
    MeansWithErrorsAt,
    means_with_errors,
    moments_over_time,
)
from query_api.analytics_plan import plan
from query_api.analytics_questions import BUCKET_PARAMETERS, FAILURES, UNTOLD, graph_question
from query_api.analytics_statistics import Moments
from query_api.callers import AnalyticsReader
from query_api.engines import Engines
from query_api.log_filters import openapi_parameters
from query_api.settings import QuerySettings


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["analytics"])

    @router.get(
        "/v1/analytics/graphs/feedbacks/intervals",
        summary="The means of feedback, and how sure they are",
        description="Both means with their standard errors and 95 % confidence intervals. Read from rows, unless every"
        " weight is 1.",
        responses=FAILURES,
        openapi_extra={"parameters": [*openapi_parameters(time_required=True), *BUCKET_PARAMETERS]},
    )
    async def intervals(
        request: Request, caller: AnalyticsReader
    ) -> FeedbackTimeGraph[MeansWithErrors, MeansWithErrorsAt]:
        asked = graph_question(request.query_params, caller.workspace, over_time=True)
        chosen = plan(asked.filters, asked.when, False, datetime.now(UTC))
        async with reader.told_in_time(UNTOLD):
            found, read_from = await moments_over_time(reader, asked.filters, asked.when, chosen)
        points = [
            MeansWithErrorsAt(timestamp=start.astimezone(asked.zone), **means_with_errors(found.get(start, Moments())))
            for start in asked.when.starts
        ]
        return FeedbackTimeGraph(
            summary=MeansWithErrors(**means_with_errors(reduce(add, found.values(), Moments()))),
            data_points=points,
            read_from=read_from,
            bucket=asked.bucket,
            time_zone=asked.zone.key,
        )

    return router

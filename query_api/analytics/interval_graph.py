"""`GET /v1/analytics/graphs/feedbacks/intervals`: the means of feedback over time, and how sure they are."""

from functools import reduce
from operator import add

from fastapi import APIRouter, Request

from query_api.analytics.intervals import (
    MeansWithErrors,
    MeansWithErrorsAt,
    means_with_errors,
)
from query_api.analytics.moments import moments_over_time
from query_api.analytics.parameters import BUCKET_PARAMETERS, FAILURES, NO_ANSWER, READ_FROM, graph_question, plan_asked
from query_api.analytics.responses import FeedbackTimeGraph
from query_api.analytics.statistics import Moments
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines
from query_api.filters.parameters import openapi_parameters
from query_api.settings import QuerySettings


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["analytics"])

    @router.get(
        "/v1/analytics/graphs/feedbacks/intervals",
        summary="The means of feedback, and how sure they are",
        description="Both means with their standard errors and 95 % confidence intervals.",
        responses=FAILURES,
        openapi_extra={"parameters": [*openapi_parameters(time_required=True), READ_FROM, *BUCKET_PARAMETERS]},
    )
    async def intervals(
        request: Request, caller: AnalyticsReader
    ) -> FeedbackTimeGraph[MeansWithErrors, MeansWithErrorsAt]:
        query = request.query_params
        asked = graph_question(query, caller.workspace, ("read_from",), over_time=True)
        chosen = plan_asked(query, asked.filters, asked.when)
        async with reader.query_deadline(NO_ANSWER):
            found, read = await moments_over_time(reader, asked.filters, asked.when, chosen)
        points = [
            MeansWithErrorsAt(timestamp=start.astimezone(asked.zone), **means_with_errors(found.get(start, Moments())))
            for start in asked.when.starts
        ]
        return FeedbackTimeGraph(
            summary=MeansWithErrors(**means_with_errors(reduce(add, found.values(), Moments()))),
            data_points=points,
            read_from=read.read_from,
            bucket=asked.bucket,
            time_zone=asked.zone.key,
        )

    return router

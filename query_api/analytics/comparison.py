"""`GET /v1/analytics/comparison`: feedback against other feedback, with what chance allows for.

The plain filters describe what is looked at; each of them with `baseline_` before it says how the baseline differs. So
`baseline_time_of_generation_min` and `…_max` compare two periods, and `prompt_slug` with `baseline_prompt_slug` two
prompts. The formulas are in query_api/analytics/statistics.py.
"""

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.analytics.intervals import MeansWithErrors, means_with_errors
from query_api.analytics.moments import moments_over_time
from query_api.analytics.parameters import FAILURES, NO_ANSWER, READ_FROM, all_of, plan_asked
from query_api.analytics.statistics import Moments, avg, difference, weighted_mean
from query_api.auth import AnalyticsReader
from query_api.clickhouse import Engines, Reader
from query_api.filters.parameters import LogFilters, filters_in_query, openapi_parameters
from query_api.settings import QuerySettings
from runtime.concurrent_calls import answers_of
from runtime.http_errors import ApiError

_BASELINE = "baseline_"
_OWN = ("read_from",)


class MeanDifference(BaseModel):
    """The mean looked at less that of the baseline, and its 95 % confidence interval by Welch's method."""

    value: float | None = Field(examples=[0.5])
    standard_error: float | None = Field(examples=[0.2])
    degrees_of_freedom: float | None = Field(description="Null where nothing varies.", examples=[97.3])
    low: float | None = Field(examples=[0.1])
    high: float | None = Field(examples=[0.9])
    p_value: float | None = Field(
        description="How probable it is that two means of the same differ so much or more, by chance alone: two-sided."
        " Null where nothing varies.",
        examples=[0.013],
    )


class MeanDifferences(BaseModel):
    """Of both means."""

    avg: MeanDifference
    weighted_mean: MeanDifference


class Comparison(BaseModel):
    """Feedback, its baseline, and the difference of their means."""

    object: Literal["analytics-comparison"] = "analytics-comparison"
    current: MeansWithErrors
    baseline: MeansWithErrors
    difference: MeanDifferences


def create_router(settings: QuerySettings, engines: Engines) -> APIRouter:
    """The route."""
    reader = engines.reader(settings.analytics_timeout_s)
    router = APIRouter(tags=["analytics"])
    baseline = [
        each | {"name": f"{_BASELINE}{each['name']}", "description": f"The same of the baseline. {each['description']}"}
        for each in openapi_parameters()
    ]

    @router.get(
        "/v1/analytics/comparison",
        summary="Compare feedback of two periods, prompts or the like",
        responses=FAILURES,
        openapi_extra={"parameters": [*openapi_parameters(time_required=True), READ_FROM, *baseline]},
    )
    async def compare(request: Request, caller: AnalyticsReader) -> Comparison:
        sides = _sides(request.query_params, caller.workspace)
        async with reader.query_deadline(NO_ANSWER):
            first, second = (_moments(reader, request.query_params, filters) for filters in sides)
            current, base = await answers_of(first, second)
        changes = MeanDifferences(
            avg=MeanDifference(**asdict(difference(avg(current), avg(base)))),
            weighted_mean=MeanDifference(**asdict(difference(weighted_mean(current), weighted_mean(base)))),
        )
        return Comparison(current=_means(current), baseline=_means(base), difference=changes)

    return router


def _sides(query: QueryParams, workspace: str) -> tuple[LogFilters, LogFilters]:
    """What is looked at and its baseline, which has the same filters but for those that are given for it."""
    pairs = query.multi_items()
    own = [(name, value) for name, value in pairs if not name.startswith(_BASELINE)]
    other = [(name.removeprefix(_BASELINE), value) for name, value in pairs if name.startswith(_BASELINE)]
    if not other:
        raise ApiError(
            "say what to compare with: baseline_time_of_generation_min and …_max for another period,"
            " or baseline_prompt_slug for another prompt",
            "baseline_time_of_generation_min",
        )
    current = filters_in_query(QueryParams(own), workspace, _OWN, time_required=True)
    changed = {name for name, _ in other}
    shared = [(name, value) for name, value in own if name not in changed]
    try:
        return current, filters_in_query(QueryParams(shared + other), workspace, _OWN, time_required=True)
    except ApiError as error:
        joint = _BASELINE if error.message.startswith(error.param or " ") else "of the baseline: "
        raise ApiError(f"{joint}{error.message}", f"{_BASELINE}{error.param}", error.status) from None


async def _moments(reader: Reader, query: QueryParams, filters: LogFilters) -> Moments:
    when = all_of(filters)
    found, _ = await moments_over_time(reader, filters, when, plan_asked(query, filters, when))
    return found.get(when.since, Moments())


def _means(group: Moments) -> MeansWithErrors:
    return MeansWithErrors(**means_with_errors(group))

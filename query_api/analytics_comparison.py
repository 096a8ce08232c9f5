"""`GET /v1/analytics/comparison`: feedback against other feedback, with what chance allows for.

The plain filters describe what is looked at; each of them with `baseline_` before it says how the baseline differs. So
`baseline_time_of_generation_min` and `…_max` compare two periods, and `prompt_slug` with `baseline_prompt_slug` two
prompts. Read from rows alone, since rollups have no squares. The formulas are in query_api/analytics_statistics.py.
"""

from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from query_api.analytics_questions import FAILURES, UNTOLD
from query_api.analytics_statistics import Estimate, Moments, avg, difference, weighted_mean
from query_api.answers import QueryError
from query_api.callers import AnalyticsReader
from query_api.engines import Engines, Reader
from query_api.filter_conditions import conditions_on_feedback
from query_api.log_filters import LogFilters, filters_in_query, openapi_parameters
from query_api.settings import QuerySettings

_BASELINE = "baseline_"
# A weight has nine decimal places and so its square has eighteen: both fit into 38 digits.
_MOMENTS = """
SELECT count(), countIf(weight > 0), sum(w), sum(w * w), sum(value * w), sum(value * (w * w)),
    sum((value * value) * (w * w))
FROM (
    SELECT toInt32(f.value) AS value, f.weight AS weight, toDecimal128(f.weight, 9) AS w
    FROM feedback.feedback AS f WHERE {asked}
)
"""


class Side(BaseModel):
    """One of the two: its means with their standard errors. Null is what so little feedback cannot tell."""

    n: int = Field(description="Feedbacks.", examples=[120])
    n_with_weight: int = Field(description="Those of them whose weight is not 0.", examples=[118])
    avg: float | None = Field(description="Σ(value × weight) ÷ n.", examples=[1.5])
    avg_standard_error: float | None = Field(examples=[0.25])
    weighted_mean: float | None = Field(description="Σ(value × weight) ÷ Σ weight.", examples=[3.0])
    weighted_mean_standard_error: float | None = Field(examples=[0.5])


class Change(BaseModel):
    """The mean looked at less that of the baseline, and its 95 % confidence interval by Welch's method."""

    value: float | None = Field(examples=[0.5])
    standard_error: float | None = Field(examples=[0.2])
    degrees_of_freedom: float | None = Field(description="Null where nothing varies.", examples=[97.3])
    low: float | None = Field(examples=[0.1])
    high: float | None = Field(examples=[0.9])


class Changes(BaseModel):
    """Of both means."""

    avg: Change
    weighted_mean: Change


class Comparison(BaseModel):
    """Feedback, its baseline, and the difference of their means."""

    object: Literal["analytics-comparison"] = "analytics-comparison"
    current: Side
    baseline: Side
    difference: Changes


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
        openapi_extra={"parameters": [*openapi_parameters(time_required=True), *baseline]},
    )
    async def compare(request: Request, caller: AnalyticsReader) -> Comparison:
        sides = _sides(request.query_params, caller.workspace)
        async with reader.told_in_time(UNTOLD):
            current, base = [await _moments(reader, filters) for filters in sides]
        changes = Changes(
            avg=Change(**asdict(difference(avg(current), avg(base)))),
            weighted_mean=Change(**asdict(difference(weighted_mean(current), weighted_mean(base)))),
        )
        return Comparison(current=_side(current), baseline=_side(base), difference=changes)

    return router


def _sides(query: QueryParams, workspace: str) -> tuple[LogFilters, LogFilters]:
    """What is looked at and its baseline, which has the same filters but for those that are given for it."""
    pairs = query.multi_items()
    own = [(name, value) for name, value in pairs if not name.startswith(_BASELINE)]
    other = [(name.removeprefix(_BASELINE), value) for name, value in pairs if name.startswith(_BASELINE)]
    if not other:
        raise QueryError(
            "say what to compare with: baseline_time_of_generation_min and …_max for another period,"
            " or baseline_prompt_slug for another prompt",
            "baseline_time_of_generation_min",
        )
    current = filters_in_query(QueryParams(own), workspace, time_required=True)
    changed = {name for name, _ in other}
    shared = [(name, value) for name, value in own if name not in changed]
    try:
        return current, filters_in_query(QueryParams(shared + other), workspace, time_required=True)
    except QueryError as error:
        joint = _BASELINE if error.message.startswith(error.param or " ") else "of the baseline: "
        raise QueryError(f"{joint}{error.message}", f"{_BASELINE}{error.param}", error.status) from None


async def _moments(reader: Reader, filters: LogFilters) -> Moments:
    asked = conditions_on_feedback(filters, "f")
    (row,) = await reader.rows(_MOMENTS.format(asked=asked.text), asked.parameters)
    return Moments(*row.values())


def _side(group: Moments) -> Side:
    def told(name: str, estimate: Estimate) -> dict[str, Any]:
        mean = None if estimate.mean is None else float(estimate.mean)
        return {name: mean, f"{name}_standard_error": estimate.standard_error}

    means = told("avg", avg(group)) | told("weighted_mean", weighted_mean(group))
    return Side(n=group.n, n_with_weight=group.with_weight, **means)

"""Means of feedback with their standard errors and 95 % confidence intervals, as answers tell them."""

from typing import Any

from pydantic import BaseModel, Field

from query_api.analytics.responses import At
from query_api.analytics.statistics import Estimate, Moments, avg, interval, weighted_mean


class MeansWithErrors(BaseModel):
    """Both means with their standard errors and 95 % intervals. Null is what so little feedback cannot tell."""

    n: int = Field(description="Feedbacks.", examples=[120])
    n_with_weight: int = Field(description="Those of them whose weight is not 0.", examples=[118])
    avg: float | None = Field(description="Σ(value × weight) ÷ n.", examples=[1.5])
    avg_standard_error: float | None = Field(examples=[0.25])
    avg_low: float | None = Field(examples=[1.0])
    avg_high: float | None = Field(examples=[2.0])
    weighted_mean: float | None = Field(description="Σ(value × weight) ÷ Σ weight.", examples=[3.0])
    weighted_mean_standard_error: float | None = Field(examples=[0.5])
    weighted_mean_low: float | None = Field(examples=[2.0])
    weighted_mean_high: float | None = Field(examples=[4.0])


class MeansWithErrorsAt(MeansWithErrors, At):
    """The same of one bucket."""


def means_with_errors(group: Moments) -> dict[str, Any]:
    """The fields of MeansWithErrors."""

    def fields(name: str, estimate: Estimate) -> dict[str, float | None]:
        low, high = interval(estimate)
        mean = None if estimate.mean is None else float(estimate.mean)
        return {
            name: mean, f"{name}_standard_error": estimate.standard_error, f"{name}_low": low, f"{name}_high": high
        }  # fmt: skip

    means = fields("avg", avg(group)) | fields("weighted_mean", weighted_mean(group))
    return {"n": group.n, "n_with_weight": group.with_weight, **means}

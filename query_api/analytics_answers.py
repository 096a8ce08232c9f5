"""What analytics answer: Portkey's envelopes, with fields of our own beside those that its clients know."""

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from query_api.analytics_time import Bucket

Point = TypeVar("Point")
Summary = TypeVar("Summary")

_AVG = "Σ(value × weight) ÷ n; null without feedback."
_WEIGHTED_MEAN = "Σ(value × weight) ÷ Σ weight; null where nothing has weight."


class Nothing(BaseModel):
    """An empty object."""


class Total(BaseModel):
    """How much feedback."""

    total: int = Field(examples=[3])


class TotalAt(BaseModel):
    """How much feedback in one bucket."""

    timestamp: datetime = Field(description="Start of the bucket.", examples=["2026-11-01T00:00:00Z"])
    total: int = Field(examples=[3])


class ScoreTotal(BaseModel):
    """How much feedback has one value."""

    score: int = Field(examples=[5])
    total: int = Field(examples=[2])


class Means(BaseModel):
    """Both means of some feedback, and how much of it there is."""

    avg: float | None = Field(description=_AVG, examples=[1.5])
    weighted_mean: float | None = Field(description=_WEIGHTED_MEAN, examples=[3.0])
    n: int = Field(examples=[2])


class MeansAt(Means):
    """Both means of the feedback in one bucket."""

    timestamp: datetime = Field(description="Start of the bucket.", examples=["2026-11-01T00:00:00Z"])


class ModelMeans(BaseModel):
    """Both means of the feedback on traces with a request to one model."""

    ai_model: str = Field(description="Empty for feedback whose trace has no known model yet.", examples=["gpt-4o"])
    total: int = Field(examples=[2])
    avg_weighted_feedback: float | None = Field(description=_AVG, examples=[1.5])
    weighted_mean: float | None = Field(description=_WEIGHTED_MEAN, examples=[3.0])


class Graph(BaseModel, Generic[Summary, Point]):
    """A graph: a summary of all that was asked for, and its points in order."""

    object: Literal["analytics-graph"] = "analytics-graph"
    summary: Summary
    data_points: list[Point]
    read_from: Literal["rows", "rollups"] = Field(description="Where the numbers are from; they are the same.")


class TimeGraph(Graph[Summary, Point], Generic[Summary, Point]):
    """A graph over time: every bucket has a point, also without feedback."""

    bucket: Bucket
    time_zone: str = Field(examples=["UTC"])

"""What analytics answer: Portkey's envelopes, with fields of our own beside those that its clients know."""

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from query_api.analytics.time_buckets import Bucket

Group = TypeVar("Group")
Point = TypeVar("Point")
Summary = TypeVar("Summary")

_AVG = "Σ(value × weight) ÷ n; null without feedback."
_WEIGHTED_MEAN = "Σ(value × weight) ÷ Σ weight; null where nothing has weight."


class Nothing(BaseModel):
    """An empty object."""


class At(BaseModel):
    """Which bucket a point is about."""

    timestamp: datetime = Field(description="Start of the bucket.", examples=["2026-11-01T00:00:00Z"])


class Total(BaseModel):
    """How many there are of what the graph is about."""

    total: int = Field(examples=[3])


class SignTotals(Total):
    """How much feedback, and how much of it has a value above, of and below 0."""

    positive: int = Field(examples=[2])
    neutral: int = Field(examples=[0])
    negative: int = Field(examples=[1])


class SignTotalsAt(SignTotals, At):
    """The same of one bucket."""


class TotalAt(Total, At):
    """How many there are in one bucket."""


class ScoreTotal(BaseModel):
    """How much feedback has one value."""

    score: int = Field(examples=[5])
    total: int = Field(examples=[2])


class Means(BaseModel):
    """Both means of some feedback, and how much of it there is."""

    avg: float | None = Field(description=_AVG, examples=[1.5])
    weighted_mean: float | None = Field(description=_WEIGHTED_MEAN, examples=[3.0])
    n: int = Field(examples=[2])


class MeansAt(Means, At):
    """Both means of the feedback in one bucket."""


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


class TimeGraph(Graph[Summary, Point], Generic[Summary, Point]):
    """A graph over time: every bucket has a point, also where nothing is in it."""

    bucket: Bucket
    time_zone: str = Field(examples=["UTC"])


class _ReadFrom(BaseModel):
    read_from: Literal["rows", "rollups"] = Field(description="Where the numbers are from; they are the same.")


class FeedbackGraph(Graph[Summary, Point], _ReadFrom, Generic[Summary, Point]):
    """A graph of feedback."""


class FeedbackTimeGraph(TimeGraph[Summary, Point], _ReadFrom, Generic[Summary, Point]):
    """A graph of feedback over time."""


class Groups(BaseModel, Generic[Group]):
    """A page of groups."""

    object: Literal["list"] = "list"
    total: int = Field(description="Groups on all pages.", examples=[12])
    data: list[Group]

"""The messages of the output topics: joined feedback, aggregates of traces, dead letters, hours, and API keys.

Each message is a complete snapshot with a version. A consumer that keeps the highest version of each key has the right
state, however often or late messages arrive. A deleted feedback is a tombstone without a value. All messages of the
compacted topics have the version in the header `version`; that of an API key is 1, and 2 when it is revoked.
"""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.api_keys import ApiKey
from schemas.events import Id, Metadata, Specials, TraceId, Value, Weight, Workspace

JoinState = Literal["pending", "joined"]
Version = Annotated[
    int,
    Field(
        ge=0,
        le=2**64 - 1,
        description="Higher is newer: the last event's sequence × 65,536 + requests known.",
    ),
]


class EnrichedFeedback(Specials):
    """One feedback with the data of its trace's requests. The special fields are those in force."""

    workspace: Workspace
    feedback_id: Id
    trace_id: TraceId
    value: Value
    weight: Weight
    join_state: JoinState
    models: list[str] = Field(description="Models of all requests on the trace, sorted.")
    providers: list[str] = Field(description="Providers of all requests on the trace, sorted.")
    metadata: Metadata
    created_at: AwareDatetime
    updated_at: AwareDatetime
    version: Version


class TraceAggregate(BaseModel):
    """Exact totals of all feedback on one trace."""

    model_config = ConfigDict(extra="ignore")

    workspace: Workspace
    trace_id: TraceId
    feedback_count: int = Field(ge=0)
    weight_sum: float = Field(description="Σ weight")
    value_weight_sum: float = Field(description="Σ value × weight")
    weight_value_squared_sum: float = Field(description="Σ weight × value²")
    value_min: Value | None
    value_max: Value | None
    value_last: Value | None = Field(description="Value of the feedback with the latest event.")
    mean_value_weight: float | None = Field(description="Σ value × weight ÷ count: Portkey's weighted average.")
    weighted_mean: float | None = Field(description="Σ value × weight ÷ Σ weight: the textbook weighted mean.")
    requests: int = Field(ge=0, description="Requests known on the trace.")
    updated_at: AwareDatetime = Field(description="When the latest feedback event on the trace was accepted.")
    version: Version


class DeadLetter(BaseModel):
    """A record that could not become a row: its place, the reason, and its bytes."""

    model_config = ConfigDict(extra="ignore")

    topic: str
    partition: int
    offset: int
    reason: str = Field(description="One word for the kind of fault, such as `not_json` or `unknown_feedback`.")
    detail: str = Field(description="One sentence that names the field.")
    key: str | None = Field(description="The record's key, base64.")
    value: str | None = Field(description="The record's bytes, base64.")
    timestamp: AwareDatetime | None = Field(description="The record's own time.")


class RollupInvalidation(BaseModel):
    """Feedback created in this hour has changed, so its rollups have to be computed again. Internal."""

    model_config = ConfigDict(extra="ignore")

    workspace: Workspace
    hour: int = Field(ge=0, description="Start of the hour, Unix seconds.")


OUTPUTS: dict[str, type[BaseModel]] = {
    "feedback.enriched.v1": EnrichedFeedback,
    "trace.aggregates.v1": TraceAggregate,
    "feedback.dead.v1": DeadLetter,
    "rollup.touches.v1": RollupInvalidation,
    "api.keys.v1": ApiKey,
}

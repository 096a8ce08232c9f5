"""What is published beside the input topics: joined feedback, per-trace aggregates, dead letters, hours, and API keys.

Every message is an absolute snapshot with a version: a consumer that keeps the highest version per key has the
truth, however often or late a message arrives. A deleted feedback is a tombstone (no value) whose version is in
the `version` header, which every message of the compacted topics carries; that of a key is 1, and 2 once it is revoked.
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
    """One feedback with what its trace's requests add. The special fields are those in force."""

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
    """All feedback on one trace in numbers, exact and absolute."""

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
    """A record that could not become a row: where it came from, why, and its bytes."""

    model_config = ConfigDict(extra="ignore")

    topic: str
    partition: int
    offset: int
    reason: str = Field(description="One word for the kind of fault, such as `not_json` or `unknown_feedback`.")
    detail: str = Field(description="One sentence that names the field.")
    key: str | None = Field(description="The record's key, base64.")
    value: str | None = Field(description="The record's bytes, base64.")
    timestamp: AwareDatetime | None = Field(description="The record's own time.")


class RollupTouch(BaseModel):
    """Feedback created in this hour has changed: its rollups are to be computed anew. Internal."""

    model_config = ConfigDict(extra="ignore")

    workspace: Workspace
    hour: int = Field(ge=0, description="Start of the hour, Unix seconds.")


OUTPUTS: dict[str, type[BaseModel]] = {
    "feedback.enriched.v1": EnrichedFeedback,
    "trace.aggregates.v1": TraceAggregate,
    "feedback.dead.v1": DeadLetter,
    "rollup.touches.v1": RollupTouch,
    "api.keys.v1": ApiKey,
}

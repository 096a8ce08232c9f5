"""The events that the edge publishes: feedback created, updated or deleted, and requests logged.

These models are the contract of the two input topics and the source of their JSON Schema files. The edge has already
normalized everything: special metadata fields are separate and are strings, numbers are in range, times are in UTC. A
worker checks each record by the same rules, and sends records that break them to the dead letters.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from schemas.limits import (
    HIGHEST_STATUS,
    HIGHEST_VALUE,
    HIGHEST_WEIGHT,
    LOWEST_VALUE,
    LOWEST_WEIGHT,
    MOST_ENVIRONMENT_CHARS,
    MOST_KEY_CHARS,
    MOST_TRACE_ID_CHARS,
    WORKSPACE_PATTERN,
)

ID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
DIGEST_PATTERN = r"^[0-9a-f]{32}$"

Id = Annotated[str, Field(pattern=ID_PATTERN, description="A UUID of version 8 that carries its trace key's hash.")]
Workspace = Annotated[str, Field(pattern=WORKSPACE_PATTERN, description="Whose event this is.")]
TraceId = Annotated[
    str, Field(min_length=1, max_length=MOST_TRACE_ID_CHARS, description="The trace the event belongs to.")
]
Value = Annotated[int, Field(ge=LOWEST_VALUE, le=HIGHEST_VALUE, description="How good the answer was, −10 to 10.")]
Weight = Annotated[
    float,
    Field(
        ge=LOWEST_WEIGHT,
        le=HIGHEST_WEIGHT,
        allow_inf_nan=False,
        description="How much it counts, 0 to 1, at most nine decimals.",
    ),
]
Special = Annotated[str | None, Field(description="A special metadata field, as the event carried it.")]
Metadata = Annotated[dict[str, Any], Field(description="Everything the caller sent as metadata.")]


class Event(BaseModel):
    """What every event has in common."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    workspace: Workspace


class Specials(BaseModel):
    """The four metadata fields that are columns of their own."""

    model_config = ConfigDict(populate_by_name=True, extra="ignore")

    user: Special = Field(None, alias="_user")
    organisation: Special = Field(None, alias="_organisation")
    prompt: Special = Field(None, alias="_prompt")
    environment: Special = Field(None, alias="_environment")


class Keyed(BaseModel):
    """The idempotency key of the call that sent an event, if it had an `Idempotency-Key`."""

    idempotency_key: str | None = Field(
        None, min_length=1, max_length=MOST_KEY_CHARS, description="What the call was sent under, if anything."
    )
    idempotency_digest: str | None = Field(
        None, pattern=DIGEST_PATTERN, description="Of all that was sent in that call; with the key or not at all."
    )


class FeedbackCreated(Event, Specials, Keyed):
    """Feedback on a trace. A second create of the same id changes nothing, unless both replace what stands."""

    event: Literal["create"]
    feedback_id: Id
    trace_id: TraceId
    value: Value
    weight: Weight
    metadata: Metadata
    home_environment: str = Field(
        "other",
        max_length=MOST_ENVIRONMENT_CHARS,
        description="The environment if the edge knows it, else `other`: a partition column.",
    )
    replaces: bool = Field(
        False,
        description="A vote: a later create of the same id that replaces as well sets value, weight and metadata anew,"
        " and brings back what was deleted.",
    )
    created_at: AwareDatetime


class FeedbackUpdated(Event, Specials):
    """A change of feedback. Null fields keep their stored values; metadata, if given, replace all metadata."""

    event: Literal["update"]
    feedback_id: Id
    value: Value | None = None
    weight: Weight | None = None
    metadata: Metadata | None = None
    updated_at: AwareDatetime


class FeedbackDeleted(Event):
    """The end of a feedback. Its id is never used again, unless it is that of a vote."""

    event: Literal["delete"]
    feedback_id: Id
    deleted_at: AwareDatetime


class CachedStateInvalidated(Event):
    """An operator has changed stored rows of a trace, or a worker was killed before it had stored all of them.

    The worker of this partition reads the state of the trace anew, and writes and publishes all of it again.
    """

    event: Literal["forget"]
    feedback_id: Id = Field(description="An id of its own, which names no feedback and carries the trace's hash.")
    forgotten_at: AwareDatetime


Sequence = Annotated[int, Field(ge=0, description="An offset of the same partition, plus the offset base.")]


class TraceExpired(BaseModel):
    """A trace has had no event for as long as traces are kept, and is removed as a whole.

    Its feedback before `feedback_before` and its requests before `requests_before` are removed; later events start a
    new trace. The trace stays if an event of its feedback lies between `feedback_before` and this one.
    """

    model_config = ConfigDict(extra="ignore")

    event: Literal["expire"]
    feedback_id: Id = Field(description="An id of its own, which names no feedback and carries the trace's hash.")
    feedback_before: Sequence
    requests_before: Sequence
    expired_at: AwareDatetime


FeedbackEvent = Annotated[
    FeedbackCreated | FeedbackUpdated | FeedbackDeleted | CachedStateInvalidated | TraceExpired,
    Field(discriminator="event"),
]

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class RequestLogged(Event, Specials, Keyed):
    """One request that an app has served, from its log. A second log with the same id changes nothing."""

    event: Literal["request"]
    request_id: Id
    trace_id: TraceId
    span_id: str | None = None
    parent_span_id: str | None = None
    span_name: str | None = None
    provider: str | None = None
    model: str | None = None
    method: str = "post"
    url: str | None = None
    status: int = Field(200, ge=0, le=HIGHEST_STATUS, description="The HTTP status the app's provider answered with.")
    response_time_ms: float | None = Field(None, ge=0, allow_inf_nan=False)
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    cost: float | None = Field(None, allow_inf_nan=False, description="In US cents.")
    metadata: Metadata
    request_headers: dict[str, Any] | None = None
    request_body: Any = None
    response_headers: dict[str, Any] | None = None
    response_body: Any = None
    started_at: AwareDatetime = Field(description="When the request began, by the app's clock.")
    received_at: AwareDatetime = Field(description="When the edge accepted the log.")

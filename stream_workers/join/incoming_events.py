"""The events of the input topics in the form in which the join reads them: each with its identity and its place.

The contract is that of `schemas.events`, in a faster form: msgspec structures that leave metadata and bodies as the raw
JSON in which they came. A test compares the two forms.
"""

from datetime import datetime
from typing import Annotated, NamedTuple

from aiokafka.structs import ConsumerRecord
from msgspec import Meta, Raw, Struct, field

from schemas.events import DIGEST_PATTERN, ID_PATTERN
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


def _all_of(pattern: str) -> str:
    """The pattern for the whole text: in Python, `$` also matches before a final line break."""
    return pattern.removesuffix("$") + r"\Z"


Workspace = Annotated[str, Meta(pattern=_all_of(WORKSPACE_PATTERN))]
Id = Annotated[str, Meta(pattern=_all_of(ID_PATTERN))]
TraceId = Annotated[str, Meta(min_length=1, max_length=MOST_TRACE_ID_CHARS)]
Value = Annotated[int, Meta(ge=LOWEST_VALUE, le=HIGHEST_VALUE)]
Weight = Annotated[float, Meta(ge=LOWEST_WEIGHT, le=HIGHEST_WEIGHT)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[datetime, Meta(tz=True)]
ABSENT = Raw(b"")


def field_json(raw: Raw) -> bytes | None:
    """The JSON text of a field; None if it is absent or null."""
    text = bytes(raw)
    return None if text in (b"", b"null") else text


class _Specials(Struct, kw_only=True, gc=False):
    user: str | None = field(name="_user", default=None)
    organisation: str | None = field(name="_organisation", default=None)
    prompt: str | None = field(name="_prompt", default=None)
    environment: str | None = field(name="_environment", default=None)


class _Keyed(_Specials, kw_only=True, gc=False):
    idempotency_key: Annotated[str, Meta(min_length=1, max_length=MOST_KEY_CHARS)] | None = None
    idempotency_digest: Annotated[str, Meta(pattern=_all_of(DIGEST_PATTERN))] | None = None


class Created(_Keyed, kw_only=True, tag_field="event", tag="create", gc=False):
    """Feedback was created."""

    workspace: Workspace
    feedback_id: Id
    trace_id: TraceId
    value: Value
    weight: Weight
    metadata: Raw
    home_environment: Annotated[str, Meta(max_length=MOST_ENVIRONMENT_CHARS)] = "other"
    replaces: bool = False
    at: Time = field(name="created_at")


class Updated(_Specials, kw_only=True, tag_field="event", tag="update", gc=False):
    """Fields of a feedback were changed; an absent field keeps its value."""

    workspace: Workspace
    feedback_id: Id
    value: Value | None = None
    weight: Weight | None = None
    metadata: Raw = ABSENT
    at: Time = field(name="updated_at")


class Deleted(Struct, kw_only=True, tag_field="event", tag="delete", gc=False):
    """A feedback was deleted."""

    workspace: Workspace
    feedback_id: Id
    at: Time = field(name="deleted_at")


class StateInvalidated(Struct, kw_only=True, tag_field="event", tag="forget", gc=False):
    """Rows of a trace were changed by an operator, or not all stored: cached states and rows may be out of date."""

    workspace: Workspace
    feedback_id: Id
    at: Time = field(name="forgotten_at")


class Expired(Struct, kw_only=True, tag_field="event", tag="expire", gc=False):
    """A trace expired: its events before the two sequences are to be removed."""

    feedback_id: Id
    feedback_before: Annotated[int, Meta(ge=0)]
    requests_before: Annotated[int, Meta(ge=0)]
    at: Time = field(name="expired_at")


class Requested(_Keyed, kw_only=True, tag_field="event", tag="request", gc=False):
    """A request was logged."""

    workspace: Workspace
    request_id: Id
    trace_id: TraceId
    span_id: str | None = None
    parent_span_id: str | None = None
    span_name: str | None = None
    provider: str | None = None
    model: str | None = None
    method: str = "post"
    url: str | None = None
    status: Annotated[int, Meta(ge=0, le=HIGHEST_STATUS)] = 200
    response_time_ms: Annotated[float, Meta(ge=0)] | None = None
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    cost: float | None = None
    metadata: Raw
    request_headers: Raw = ABSENT
    request_body: Raw = ABSENT
    response_headers: Raw = ABSENT
    response_body: Raw = ABSENT
    started_at: Time
    at: Time = field(name="received_at")


FeedbackEvent = Created | Updated | Deleted
AnyEvent = FeedbackEvent | StateInvalidated | Expired | Requested


class IncomingEvent(NamedTuple):
    """An event as it was read: `identity` is the id of its feedback or request, `sequence` its offset plus the base."""

    event: AnyEvent
    identity: str
    trace_hash: int
    sequence: int
    record: ConsumerRecord


class RejectedRecord(NamedTuple):
    """A record that becomes a dead letter. `reason` is one word, `detail` one sentence that names the field."""

    reason: str
    detail: str
    sequence: int
    record: ConsumerRecord


def milliseconds(at: datetime) -> int:
    """A time as Unix milliseconds."""
    return round(at.timestamp() * 1000)

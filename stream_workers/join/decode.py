"""Decodes Kafka records: each becomes a typed event, or a rejected record with the reason.

The contract is that of `schemas.events`, in a faster form: msgspec structures that leave metadata and bodies as the raw
JSON in which they came. A test compares the two forms. Decoding never raises: a record that breaks the contract becomes
a `RejectedRecord` that names the field.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from aiokafka.structs import ConsumerRecord
from msgspec import Meta, Raw, Struct, field

from schemas import topics
from schemas.events import DIGEST_PATTERN, ID_PATTERN, WORKSPACE_PATTERN
from schemas.limits import (
    FIRST_YEAR,
    HIGHEST_STATUS,
    HIGHEST_VALUE,
    HIGHEST_WEIGHT,
    LAST_YEAR,
    LOWEST_VALUE,
    LOWEST_WEIGHT,
    MOST_ENVIRONMENT_CHARS,
    MOST_KEY_CHARS,
    MOST_TRACE_ID_CHARS,
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


def given(raw: Raw) -> bytes | None:
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
    """The stored state of a trace was changed by an operator, so cached states of it are out of date."""

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


_decoders: dict[str, Any] = {
    topics.FEEDBACK_EVENTS: msgspec.json.Decoder(FeedbackEvent | StateInvalidated | Expired),
    topics.REQUEST_LOGS: msgspec.json.Decoder(Requested),
}
_BEGIN, _END = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_EXPECTED_TIME = f"Expected a time from {FIRST_YEAR} to {LAST_YEAR}"


def decode(records: Iterable[ConsumerRecord], offset_base: int) -> tuple[list[IncomingEvent], list[RejectedRecord]]:
    """The events in records of the input topics, in order, and the records that hold none."""
    events: list[IncomingEvent] = []
    rejected: list[RejectedRecord] = []
    for record in records:
        sequence = record.offset + offset_base
        try:
            event = decode_event(record.topic, record.value)
        except InvalidEventError as error:
            rejected.append(RejectedRecord(error.reason, str(error), sequence, record))
        else:
            identity = event.request_id if type(event) is Requested else event.feedback_id
            events.append(IncomingEvent(event, identity, int(identity[24:32], 16), sequence, record))
    return events, rejected


class InvalidEventError(ValueError):
    """The record breaks the contract of its topic."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def decode_event(topic: str, value: bytes | None) -> Any:
    """The event in the value of one record. Raises InvalidEventError."""
    if not value:
        raise InvalidEventError("empty", "The record has no value.")
    if not value.isascii():
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise InvalidEventError("not_utf8", f"Byte {error.start} of the record is not UTF-8.") from None
    try:
        event = _decoders[topic].decode(value)
    except msgspec.ValidationError as error:
        raise InvalidEventError("invalid", _sentence(error)) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidEventError("not_json", _sentence(error)) from None
    _check(event)
    return event


def _check(event: AnyEvent) -> None:
    """Check the rules that the types do not express. Raises InvalidEventError."""
    kind = type(event)
    if not _BEGIN <= event.at < _END:
        raise InvalidEventError("invalid", f"{_EXPECTED_TIME} - at `$.{_RECORDED_AT[kind]}`")
    if isinstance(event, Requested) and not _BEGIN <= event.started_at < _END:
        raise InvalidEventError("invalid", f"{_EXPECTED_TIME} - at `$.started_at`")
    for name in _OBJECTS[kind]:
        text = bytes(getattr(event, name))
        if text[:1] != b"{" and not (text in (b"", b"null") and name in _MAY_BE_ABSENT.get(kind, ())):
            raise InvalidEventError("invalid", f"Expected `object` - at `$.{name}`")


_RECORDED_AT: dict[type, str] = {
    Created: "created_at",
    Updated: "updated_at",
    Deleted: "deleted_at",
    StateInvalidated: "forgotten_at",
    Expired: "expired_at",
    Requested: "received_at",
}
_OBJECTS: dict[type, tuple[str, ...]] = {
    Created: ("metadata",),
    Updated: ("metadata",),
    Deleted: (),
    StateInvalidated: (),
    Expired: (),
    Requested: ("metadata", "request_headers", "response_headers"),
}
_MAY_BE_ABSENT: dict[type, tuple[str, ...]] = {
    Updated: ("metadata",),
    Requested: ("request_headers", "response_headers"),
}


def milliseconds(at: datetime) -> int:
    """A time as Unix milliseconds."""
    return round(at.timestamp() * 1000)


def _sentence(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)) or type(error).__name__

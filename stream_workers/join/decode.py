"""Decodes Kafka records: each becomes a typed event, or a rejected record with the reason.

Decoding never raises: a record that breaks the contract becomes a `RejectedRecord` that names the field.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas import topics
from schemas.limits import FIRST_YEAR, LAST_YEAR
from stream_workers.join.incoming_events import (
    AnyEvent,
    Created,
    Deleted,
    Expired,
    FeedbackEvent,
    IncomingEvent,
    RejectedRecord,
    Requested,
    StateInvalidated,
    Updated,
)

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


def _sentence(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)) or type(error).__name__

"""Spans and log records as the mapping reads them, whether they came as protobuf or as JSON."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from ingest_api.validation.shared_data import SharedRoom, size_of

Attributes = dict[str, Any]
"""Attributes by name. Where a name came twice, the last value counts."""


class UnreadableError(ValueError):
    """The body is not what its content type says; the message says why."""


class TimedEvent(msgspec.Struct, gc=False):
    """An event within a span. Times are Unix nanoseconds, 0 where none is given."""

    name: str
    at_ns: int
    attributes: Attributes


class FinishedSpan(msgspec.Struct, gc=False):
    """One span. Ids are bytes, of whatever length they came in; an id that cannot be read is empty."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    failed: bool = False
    status_message: str = ""
    events: Iterable[TimedEvent] = ()


class LogRecord(msgspec.Struct, gc=False):
    """One log record. `at_ns` is when it happened, or else when it was observed."""

    trace_id: bytes
    span_id: bytes
    event_name: str
    at_ns: int
    attributes: Attributes


class SharedAttributes:
    """What the spans or log records of one scope share, within the room that all scopes of an export have together."""

    def __init__(self, attributes: Attributes, room: SharedRoom) -> None:
        self._attributes, self._room = attributes, room
        self._size = size_of(attributes)

    def for_one_item(self) -> Attributes:
        """The attributes, for one more span or log record. ApiError where too many are stored with too much."""
        self._room.take(self._size)
        return self._attributes


class SpansOfScope(NamedTuple):
    """Spans with what their resource and their instrumentation scope say of all of them."""

    shared: Attributes
    spans: Iterable[FinishedSpan]


class LogsOfScope(NamedTuple):
    """Log records with what their resource and their instrumentation scope say of all of them."""

    shared: Attributes
    records: Iterable[LogRecord]


# What describes the program that sends, its process and its SDK, and not the call; command lines may hold secrets.
_NOT_SHARED = ("telemetry.", "process.", "container.command")


def shared_attributes(resource: Attributes, scope_name: str, scope_version: str, scope: Attributes) -> Attributes:
    """What spans and log records of one scope have in common."""
    shared = {name: value for name, value in (resource | scope).items() if not name.startswith(_NOT_SHARED)}
    if scope_name:
        shared["otel.scope.name"] = scope_name
    if scope_version:
        shared["otel.scope.version"] = scope_version
    return shared

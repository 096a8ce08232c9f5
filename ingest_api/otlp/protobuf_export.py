"""Reads exports of spans and of log records that came as protobuf."""

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest_api.otlp.message_count import Fields, check_messages, fields_of
from ingest_api.otlp.protobuf_attributes import attribute, attributes_of
from ingest_api.otlp.protobuf_messages import LOGS, TRACES
from ingest_api.otlp.telemetry_data import (
    FinishedSpan,
    LogRecord,
    LogsOfScope,
    SpansOfScope,
    TimedEvent,
    UnreadableError,
    shared_attributes,
)

# As published, since the attributes of spans are messages there.
_TRACE_FIELDS, _LOG_FIELDS = fields_of(ExportTraceServiceRequest), fields_of(LOGS)
_ERROR = 2
"""Of the status codes of a span, the one that says that it failed."""


def spans_in(body: bytes) -> list[SpansOfScope]:
    """The spans of an export, all of them read. UnreadableError if the body is none."""
    try:
        return [
            SpansOfScope(_shared(of_resource, of_scope), [_span(each) for each in of_scope.spans])
            for of_resource in _parsed(TRACES, _TRACE_FIELDS, body).resource_spans
            for of_scope in of_resource.scope_spans
        ]
    except (DecodeError, UnicodeDecodeError):
        raise UnreadableError("the body is no ExportTraceServiceRequest in protobuf") from None


def records_in(body: bytes) -> list[LogsOfScope]:
    """The log records of an export. UnreadableError if the body is none."""
    try:
        return [
            LogsOfScope(_shared(of_resource, of_scope), map(_record, of_scope.log_records))
            for of_resource in _parsed(LOGS, _LOG_FIELDS, body).resource_logs
            for of_scope in of_resource.scope_logs
        ]
    except DecodeError:
        raise UnreadableError("the body is no ExportLogsServiceRequest in protobuf") from None


def _parsed(message: type[Message], fields: Fields, body: bytes) -> Any:
    check_messages(body, fields)
    return message.FromString(body)


def _shared(of_resource: Any, of_scope: Any) -> dict[str, Any]:
    scope = of_scope.scope
    return shared_attributes(
        attributes_of(of_resource.resource.attributes), scope.name, scope.version, attributes_of(scope.attributes)
    )


def _span(span: Any) -> FinishedSpan:
    found = FinishedSpan(
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        dict(map(attribute, span.attributes)),
    )
    if span.HasField("status"):
        found.failed, found.status_message = span.status.code == _ERROR, span.status.message
    if events := span.events:
        found.events = [*_events(events)]
    return found


def _events(events: Iterable[Any]) -> Iterator[TimedEvent]:
    for event in events:
        yield TimedEvent(event.name, event.time_unix_nano, dict(map(attribute, event.attributes)))


def _record(record: Any) -> LogRecord:
    return LogRecord(
        record.trace_id,
        record.span_id,
        record.event_name,
        record.time_unix_nano or record.observed_time_unix_nano,
        attributes_of(record.attributes),
    )

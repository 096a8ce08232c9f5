"""Reads exports of spans and of log records that came as JSON.

OTLP's JSON writes 64-bit integers as text and ids in hexadecimal digits; here numbers are taken either way. Unknown
fields are ignored. What has the wrong shape makes the whole export unreadable, as a broken message does in protobuf.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from ingest_api.otlp.telemetry_data import (
    Attributes,
    FinishedSpan,
    LogRecord,
    LogsOfScope,
    SpansOfScope,
    TimedEvent,
    UnreadableError,
    shared_attributes,
)
from ingest_api.validation.json_limits import parse, shown

Json = dict[str, Any]
_Kind = TypeVar("_Kind")
_ERROR = (2, "2", "STATUS_CODE_ERROR")


def spans_in(body: bytes) -> list[SpansOfScope]:
    """The spans of an export. UnreadableError if it is none; ApiError if the body is not JSON."""
    return [
        SpansOfScope(_shared(of_resource, of_scope), [_span(each) for each in _objects(of_scope, "spans")])
        for of_resource in _objects(_read(body), "resourceSpans")
        for of_scope in _objects(of_resource, "scopeSpans")
    ]


def records_in(body: bytes) -> list[LogsOfScope]:
    """The log records of an export. UnreadableError if it is none; ApiError if the body is not JSON."""
    return [
        LogsOfScope(_shared(of_resource, of_scope), [_record(each) for each in _objects(of_scope, "logRecords")])
        for of_resource in _objects(_read(body), "resourceLogs")
        for of_scope in _objects(of_resource, "scopeLogs")
    ]


def _read(body: bytes) -> Json:
    found = parse(body, allow_nul=True)
    if not isinstance(found, dict):
        raise UnreadableError(f"the body must be an object, got {shown(found)}")
    return found


def _shared(of_resource: Json, of_scope: Json) -> Attributes:
    scope = _object(of_scope, "scope")
    return shared_attributes(
        _attributes(_object(of_resource, "resource")), _text(scope, "name"), _text(scope, "version"), _attributes(scope)
    )


def _span(span: Json) -> FinishedSpan:
    status = _object(span, "status")
    return FinishedSpan(
        _id(span, "traceId"),
        _id(span, "spanId"),
        _id(span, "parentSpanId"),
        _text(span, "name"),
        _integer(span, "startTimeUnixNano"),
        _integer(span, "endTimeUnixNano"),
        _attributes(span),
        status.get("code") in _ERROR,
        _text(status, "message"),
        [
            TimedEvent(_text(each, "name"), _integer(each, "timeUnixNano"), _attributes(each))
            for each in _objects(span, "events")
        ],
    )


def _record(record: Json) -> LogRecord:
    return LogRecord(
        _id(record, "traceId"),
        _id(record, "spanId"),
        _text(record, "eventName"),
        _integer(record, "timeUnixNano") or _integer(record, "observedTimeUnixNano"),
        _attributes(record),
    )


def _attributes(holder: Json) -> Attributes:
    return dict(_pairs(holder, "attributes"))


def _pairs(holder: Json, name: str) -> Iterator[tuple[str, Any]]:
    for each in _objects(holder, name):
        yield _text(each, "key"), _value(_object(each, "value"))


def _value(value: Json) -> Any:
    """The value in an `AnyValue`; None if it has none, or one of an unknown kind."""
    for kind, held in value.items():
        if kind == "intValue":
            return _integer(value, kind)
        if kind == "arrayValue":
            return [_value(each) for each in _objects(_object(value, kind), "values")]
        if kind == "kvlistValue":
            return dict(_pairs(_object(value, kind), "values"))
        if kind in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
            if isinstance(held, dict | list):
                raise _misshapen(kind, "a plain value", held)
            return held
    return None


def _objects(holder: Json, name: str) -> list[Json]:
    found: list[Json] = _member(holder, name, list, "an array")
    for each in found:
        if not isinstance(each, dict):
            raise _misshapen(name, "an array of objects", each)
    return found


def _object(holder: Json, name: str) -> Json:
    return _member(holder, name, dict, "an object")


def _text(holder: Json, name: str) -> str:
    return _member(holder, name, str, "a string")


def _member(holder: Json, name: str, kind: type[_Kind], what: str) -> _Kind:
    """A member of an object; an empty one if it is missing or null."""
    found = holder.get(name)
    if found is None:
        return kind()
    if not isinstance(found, kind):
        raise _misshapen(name, what, found)
    return found


def _integer(holder: Json, name: str) -> int:
    found = holder.get(name)
    if found is None or found == "":
        return 0
    if isinstance(found, str) and len(found) <= 20:
        try:
            return int(found)
        except ValueError:
            pass
    if isinstance(found, int) and not isinstance(found, bool):
        return found
    raise _misshapen(name, "an integer, or one as text", found)


def _id(holder: Json, name: str) -> bytes:
    """The bytes of an id; empty for what is none, for which its span is refused and not the whole export."""
    try:
        return bytes.fromhex(_text(holder, name))
    except ValueError:
        return b""


def _misshapen(name: str, expected: str, found: Any) -> UnreadableError:
    return UnreadableError(f"{name} must be {expected}, got {shown(found)}")

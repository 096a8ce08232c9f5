"""Decides exports of spans: from a body to the request logs to publish, and what of it is refused.

Pure; the time is given. A span is stored whole or refused with a reason, and one that is refused takes no other with
it. Spans that are no calls to a model are accepted and not kept.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ingest_api.kafka.publisher import MAX_EVENT_BYTES
from ingest_api.otlp.attribute_names import is_model_call
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.span_requests import request_of
from ingest_api.otlp.telemetry_data import Attributes, FinishedSpan, SpansOfScope
from ingest_api.records import EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.fields import checked_trace_id
from ingest_api.validation.json_limits import dump, escape_count
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from schemas.ids import idempotent_id, trace_key
from schemas.murmur2 import murmur2_all
from schemas.topics import REQUEST_LOGS

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_OF_SPANS = -1
"""In place of a position, so that no Idempotency-Key gives the id of a span."""


class ExportOutcome(NamedTuple):
    """What an export comes to: records to publish, what is refused, and how much is accepted and not kept."""

    records: list[EventRecord]
    rejections: Rejections
    not_kept: int


class _Placed(NamedTuple):
    trace_id: str
    span_id: str
    fields: dict[str, Any]


def requests_of(scopes: Iterable[SpansOfScope], call: CallContext, limits: BodyLimits) -> ExportOutcome:
    """The request logs of an export of spans."""
    rejections = Rejections()
    placed: list[_Placed] = []
    seen = 0
    for shared, spans in scopes:
        for span in spans:
            seen += 1
            try:
                if (one := _placed(span, shared, limits)) is not None:
                    placed.append(one)
            except ApiError as fault:
                rejections.add(fault)
    not_kept = seen - len(placed) - rejections.items
    return ExportOutcome(_records(placed, call, rejections), rejections, not_kept)


def _placed(span: FinishedSpan, shared: Attributes, limits: BodyLimits) -> _Placed | None:
    trace_id = id_text(span.trace_id, _TRACE_ID_BYTES, "trace_id")
    span_id = id_text(span.span_id, _SPAN_ID_BYTES, "span_id")
    if not is_model_call(span.attributes):
        return None
    checked_trace_id(trace_id, "trace_id", limits)
    fields = request_of(span, shared, limits)
    if any(span.parent_span_id):
        fields["parent_span_id"] = span.parent_span_id.hex()
    return _Placed(trace_id, span_id, fields)


def id_text(given: bytes, size: int, name: str) -> str:
    """An id in hexadecimal digits; ApiError if it has another size, or is nothing but zeros."""
    if len(given) != size or not any(given):
        what = f"{len(given)} bytes" if len(given) != size else "zeros alone"
        raise ApiError(f"{name} must be {size} bytes that are not all zero, got {what}", name)
    return given.hex()


def _records(placed: Sequence[_Placed], call: CallContext, rejections: Rejections) -> list[EventRecord]:
    received_at = rfc3339(call.now_ms)
    keys = [trace_key(call.workspace, each.trace_id) for each in placed]
    records: list[EventRecord] = []
    for (trace_id, span_id, fields), key, trace_hash in zip(placed, keys, murmur2_all(keys), strict=True):
        request_id = idempotent_id(trace_hash, call.workspace, f"{trace_id}/{span_id}", _OF_SPANS)
        event = {
            "event": "request",
            "workspace": call.workspace,
            "request_id": str(request_id),
            "trace_id": trace_id,
            "span_id": span_id,
            "started_at": received_at,
            **fields,
            "received_at": received_at,
        }
        value = dump(event)
        try:
            check_storable(value)
        except ApiError as fault:
            rejections.add(fault)
        else:
            records.append(EventRecord(REQUEST_LOGS, trace_hash, key, value, call.now_ms))
    return records


def check_storable(value: bytes) -> None:
    """ApiError if an event holds what cannot be stored, or is too large for Kafka."""
    if escape_count(value, b"u0000"):
        raise ApiError("a text holds a NUL character, which cannot be stored", reason="nul")
    if len(value) > MAX_EVENT_BYTES:
        raise ApiError(
            f"an event has {len(value)} bytes, and Kafka takes at most {MAX_EVENT_BYTES}", reason="too_large"
        )

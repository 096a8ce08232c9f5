"""Decides exports of spans: from spans to the request logs to publish, and what of them is refused.

Pure; the time is given. A span is stored whole or refused with a reason, and one that is refused takes no other with
it. Spans that are no calls to a model are accepted and not kept.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ingest_api.otlp.attribute_names import is_model_call
from ingest_api.otlp.evaluations import EVALUATION, Evaluated, Evaluation, evaluation_records, valid_evaluations
from ingest_api.otlp.record_ids import SPAN_ID_BYTES, TRACE_ID_BYTES, check_storable, id_text
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.span_requests import request_of
from ingest_api.otlp.telemetry_data import FinishedSpan, SharedAttributes, SpansOfScope
from ingest_api.records import EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.fields import checked_trace_id
from ingest_api.validation.json_limits import dump
from ingest_api.validation.shared_data import SharedRoom
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from schemas.ids import idempotent_id, trace_key
from schemas.murmur2 import murmur2_all
from schemas.topics import REQUEST_LOGS

_OF_SPANS = -1
"""In place of a position, so that no Idempotency-Key gives the id of a span."""


class ExportOutcome(NamedTuple):
    """What an export comes to: records to publish, what is refused, and how much is accepted and not kept.

    `feedback` of the records are feedback, and the others requests.
    """

    records: list[EventRecord]
    rejections: Rejections
    not_kept: int
    feedback: int = 0


class _Placed(NamedTuple):
    trace_id: str
    span_id: str
    fields: dict[str, Any]


def requests_of(
    scopes: Iterable[SpansOfScope], call: CallContext, limits: BodyLimits, *, may_give_feedback: bool
) -> ExportOutcome:
    """The request logs of an export of spans, and the feedback of evaluations among their events."""
    rejections = Rejections()
    placed: list[_Placed] = []
    evaluated: list[Evaluation] = []
    not_kept, room = 0, SharedRoom()
    for scope in scopes:
        shared = SharedAttributes(scope.shared, room)
        for span in scope.spans:
            try:
                one = _placed(span, shared, limits)
            except ApiError as fault:
                rejections.add(fault)
                continue
            if one is not None:
                placed.append(one)
            found = _evaluated(span, shared, limits, rejections, may_give_feedback) if span.events else []
            evaluated += found
            not_kept += one is None and not found
    feedback = evaluation_records(evaluated, call, limits, rejections, whole=False)
    return ExportOutcome([*_records(placed, call, rejections), *feedback], rejections, not_kept, len(feedback))


def _evaluated(
    span: FinishedSpan, shared: SharedAttributes, limits: BodyLimits, rejections: Rejections, may_give_feedback: bool
) -> list[Evaluation]:
    made = (
        (Evaluated(span.trace_id, span.span_id, event.at_ns), event.attributes)
        for event in span.events
        if event.name == EVALUATION
    )
    return valid_evaluations(made, shared, limits, rejections, may_give_feedback=may_give_feedback, whole=False)


def _placed(span: FinishedSpan, shared: SharedAttributes, limits: BodyLimits) -> _Placed | None:
    trace_id = id_text(span.trace_id, TRACE_ID_BYTES, "trace_id")
    span_id = id_text(span.span_id, SPAN_ID_BYTES, "span_id")
    if not is_model_call(span.attributes):
        return None
    checked_trace_id(trace_id, "trace_id", limits)
    fields = request_of(span, shared.for_one_item(), limits)
    if any(span.parent_span_id):
        fields["parent_span_id"] = span.parent_span_id.hex()
    return _Placed(trace_id, span_id, fields)


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

"""Evaluations of OpenTelemetry's conventions as feedback. Pure.

An evaluation is an event `gen_ai.evaluation.result`, as a log record or within a span. The id of the feedback is made
from all that the event says, so an export that is repeated gives the same feedback.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ingest_api.access.idempotency import digest
from ingest_api.otlp.record_ids import SPAN_ID_BYTES, TRACE_ID_BYTES, check_storable, id_text
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.special_fields import metadata_of
from ingest_api.otlp.telemetry_data import Attributes, SharedAttributes
from ingest_api.records import EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext, created_records
from ingest_api.validation.feedback_item import FeedbackItem, feedback_of
from ingest_api.validation.fields import validate_metadata_size
from runtime.http_errors import ApiError
from schemas.ids import idempotent_id, trace_key
from schemas.murmur2 import murmur2_all

EVALUATION = "gen_ai.evaluation.result"
"""The name of the event."""
_NAME, _SCORE, _EXPLANATION = "gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.explanation"
_OF_EVALUATIONS = -2
"""In place of a position, so that no Idempotency-Key gives the id of an evaluation."""


class Evaluation(NamedTuple):
    """A feedback, and the digest of the event that it is made from."""

    feedback: FeedbackItem
    digest: str


class Evaluated(NamedTuple):
    """What an evaluation is about, and when it was made: the ids of trace and span, and Unix nanoseconds."""

    trace_id: bytes
    span_id: bytes
    at_ns: int


def evaluation_of(subject: Evaluated, attributes: Attributes, shared: Attributes, limits: BodyLimits) -> Evaluation:
    """The feedback of one evaluation, with all that it says as metadata; ApiError if it is at fault."""
    trace_id = id_text(subject.trace_id, TRACE_ID_BYTES, "trace_id")
    value = limits.scores.value_of(str(attributes.get(_NAME, "")), attributes.get(_SCORE))
    identity = digest([trace_id, subject.span_id.hex(), subject.at_ns, attributes])
    metadata = metadata_of(shared | attributes, limits.harmless)
    explanation = metadata.get(_EXPLANATION)
    if isinstance(explanation, str) and explanation:
        metadata.setdefault("comment", explanation)
    if len(subject.span_id) == SPAN_ID_BYTES and any(subject.span_id):
        metadata.setdefault("span_id", subject.span_id.hex())
    validate_metadata_size(metadata, limits)
    return Evaluation(feedback_of(trace_id, value, None, metadata, limits), identity)


def valid_evaluations(
    made: Iterable[tuple[Evaluated, Attributes]],
    shared: SharedAttributes,
    limits: BodyLimits,
    rejections: Rejections,
    *,
    may_give_feedback: bool,
    whole: bool,
) -> list[Evaluation]:
    """The evaluations that can be stored, from what each is about and says. `whole`: each that is rejected counts as an
    item of the export."""
    valid = []
    for subject, attributes in made:
        try:
            if not may_give_feedback:
                raise ApiError("the API key lacks the scope feedback.write, which evaluations need", reason="forbidden")
            valid.append(evaluation_of(subject, attributes, shared.for_one_item(), limits))
        except ApiError as fault:
            rejections.add(fault, whole=whole)
    return valid


def evaluation_records(
    evaluations: Sequence[Evaluation], call: CallContext, limits: BodyLimits, rejections: Rejections, *, whole: bool
) -> list[EventRecord]:
    """The events of the feedback. `whole`: one that cannot be stored counts as an item of the export."""
    keys = [trace_key(call.workspace, each.feedback.trace_id) for each in evaluations]
    hashes = murmur2_all(keys)
    ids = [
        str(idempotent_id(trace_hash, call.workspace, each.digest, _OF_EVALUATIONS))
        for each, trace_hash in zip(evaluations, hashes, strict=True)
    ]
    records = []
    for record in created_records([each.feedback for each in evaluations], ids, keys, hashes, call, limits):
        try:
            check_storable(record.value)
        except ApiError as fault:
            rejections.add(fault, whole=whole)
        else:
            records.append(record)
    return records

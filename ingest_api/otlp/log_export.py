"""Decides exports of log records: evaluations become feedback, and every other record is accepted and not kept.

Pure; the time is given.
"""

from collections.abc import Iterable

from ingest_api.otlp.evaluations import EVALUATION, Evaluated, Evaluation, evaluation_of, evaluation_records
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.span_export import ExportOutcome, forbidden_feedback
from ingest_api.otlp.telemetry_data import LogRecord, LogsOfScope
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext
from runtime.http_errors import ApiError

_OLDER_NAME = "event.name"
"""The attribute that had the name of an event before log records had a field for it."""


def evaluations_of(
    scopes: Iterable[LogsOfScope], call: CallContext, limits: BodyLimits, *, may_give_feedback: bool
) -> ExportOutcome:
    """The feedback of an export of log records."""
    rejections = Rejections()
    found: list[Evaluation] = []
    not_kept = 0
    for shared, records in scopes:
        for record in records:
            if not _is_evaluation(record):
                not_kept += 1
                continue
            try:
                if not may_give_feedback:
                    raise forbidden_feedback()
                subject = Evaluated(record.trace_id, record.span_id, record.at_ns)
                found.append(evaluation_of(subject, record.attributes, shared, limits))
            except ApiError as fault:
                rejections.add(fault)
    feedback = evaluation_records(found, call, limits, rejections, whole=True)
    return ExportOutcome(feedback, rejections, not_kept, len(feedback))


def _is_evaluation(record: LogRecord) -> bool:
    return EVALUATION in (record.event_name, record.attributes.get(_OLDER_NAME))

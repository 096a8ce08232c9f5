"""Decides exports of log records: evaluations become feedback, and every other record is accepted and not kept.

Pure; the time is given.
"""

from collections.abc import Iterable

from ingest_api.otlp.evaluations import EVALUATION, Evaluated, Evaluation, evaluation_records, valid_evaluations
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.span_export import ExportOutcome
from ingest_api.otlp.telemetry_data import LogRecord, LogsOfScope, SharedAttributes
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.shared_data import SharedRoom

_OLDER_NAME = "event.name"
"""The attribute that had the name of an event before log records had a field for it."""


def evaluations_of(
    scopes: Iterable[LogsOfScope], call: CallContext, limits: BodyLimits, *, may_give_feedback: bool
) -> ExportOutcome:
    """The feedback of an export of log records."""
    rejections = Rejections()
    found: list[Evaluation] = []
    not_kept, room = 0, SharedRoom()
    for scope in scopes:
        shared = SharedAttributes(scope.shared, room)
        made = []
        for record in scope.records:
            if _is_evaluation(record):
                made.append((Evaluated(record.trace_id, record.span_id, record.at_ns), record.attributes))
            else:
                not_kept += 1
        found += valid_evaluations(made, shared, limits, rejections, may_give_feedback=may_give_feedback, whole=True)
    feedback = evaluation_records(found, call, limits, rejections, whole=True)
    return ExportOutcome(feedback, rejections, not_kept, len(feedback))


def _is_evaluation(record: LogRecord) -> bool:
    return EVALUATION in (record.event_name, record.attributes.get(_OLDER_NAME))

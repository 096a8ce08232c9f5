"""The dialects of OTLP at an edge: exports of spans and of log records, in protobuf and in JSON, compressed or not.

`POST /v1/logs` takes log records as well as requests in JSON. In JSON, an export is known by its one field.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ingest_api.http.body_headers import check_body_headers, check_media_type
from ingest_api.http.body_unpacking import unpacked
from ingest_api.http.dialects import JSON, PROTOBUF, Decide, Dialect, DialectOf, Headers, media_type_of
from ingest_api.otlp import json_export, protobuf_export
from ingest_api.otlp.export_answers import (
    Write,
    as_json,
    as_protobuf,
    records_answer,
    spans_answer,
    status_in_json,
    status_in_protobuf,
)
from ingest_api.otlp.log_export import evaluations_of
from ingest_api.otlp.rejections import Rejections
from ingest_api.otlp.span_export import ExportOutcome, requests_of
from ingest_api.otlp.telemetry_data import UnreadableError
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation.feedback import CallContext
from runtime.api_key_authentication import Caller
from runtime.http_errors import ApiError

NOT_KEPT = "not_kept"
"""Outcome of a span or a log record that is accepted and holds nothing to keep."""
_LOGS_IN_JSON = re.compile(rb'\s*\{\s*"resourceLogs"\s*:')

Read = Callable[[bytes], list[Any]]
Answer = Callable[[Rejections, Write], bytes]


class OtlpDialects:
    """The dialects with the limits of an edge. `context` gives the workspace and the time of a call."""

    def __init__(self, settings: Settings, context: Callable[[Caller], CallContext]) -> None:
        self._limits, self._most_unpacked = settings.limits, settings.max_unpacked_bytes
        self._context = context
        spans, records = (requests_of, spans_answer), (evaluations_of, records_answer)
        self._spans_in_protobuf = self._dialect(PROTOBUF, protobuf_export.spans_in, *spans)
        self._spans_in_json = self._dialect(JSON, json_export.spans_in, *spans)
        self._records_in_protobuf = self._dialect(PROTOBUF, protobuf_export.records_in, *records)
        self._records_in_json = self._dialect(JSON, json_export.records_in, *records)

    def of_spans(self, headers: Headers) -> Dialect:
        """The dialect of `POST /v1/traces` with these headers."""
        return self._spans_in_protobuf if media_type_of(headers) == PROTOBUF else self._spans_in_json

    def or_of_logs(self, plain: Dialect) -> DialectOf:
        """The dialects of `POST /v1/logs`: of log records, and the given one for what is no export of them."""

        def read(headers: Headers, body: bytes) -> bytes:
            found = unpacked(body, headers.get(b"content-encoding", b""), self._most_unpacked)
            if found and not _LOGS_IN_JSON.match(found):
                check_body_headers(headers)
            return found

        def specific(body: bytes) -> Dialect | None:
            return self._records_in_json if _LOGS_IN_JSON.match(body) else None

        in_json = replace(plain, read=read, specific=specific)
        return lambda headers: self._records_in_protobuf if media_type_of(headers) == PROTOBUF else in_json

    def _dialect(self, media_type: bytes, read: Read, decided: Callable[..., ExportOutcome], answer: Answer) -> Dialect:
        binary = media_type == PROTOBUF
        return Dialect(
            self._decide(read, decided, answer, as_protobuf if binary else as_json),
            lambda accepted: accepted.answer or b"",
            media_type,
            self._read,
            status_in_protobuf if binary else status_in_json,
            slow=True,
        )

    def _read(self, headers: Headers, body: bytes) -> bytes:
        if media_type_of(headers) != PROTOBUF:
            check_media_type(headers)
        return unpacked(body, headers.get(b"content-encoding", b""), self._most_unpacked)

    def _decide(self, read: Read, decided: Callable[..., ExportOutcome], answer: Answer, write: Write) -> Decide:
        def decide(_: str, __: Headers, body: bytes, caller: Caller) -> Accepted:
            may_give_feedback = "feedback.write" in caller.scopes
            try:
                outcome = decided(read(body), self._context(caller), self._limits, may_give_feedback=may_give_feedback)
            except UnreadableError as fault:
                raise ApiError(str(fault)) from None
            left_out: Mapping[str, int] = outcome.rejections.reasons | (
                {NOT_KEPT: outcome.not_kept} if outcome.not_kept else {}
            )
            return Accepted(
                [],
                outcome.records,
                answer=answer(outcome.rejections, write),
                left_out=left_out,
                feedback=outcome.feedback,
            )

        return decide

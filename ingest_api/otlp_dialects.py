"""The dialects of OTLP at an edge: exports of spans, in protobuf and in JSON, compressed or not."""

from collections.abc import Callable, Mapping

from ingest_api.http.body_headers import check_media_type
from ingest_api.http.body_unpacking import unpacked
from ingest_api.http.dialects import JSON, PROTOBUF, Dialect, Headers, media_type_of
from ingest_api.otlp import json_export, protobuf_export
from ingest_api.otlp.export import requests_of
from ingest_api.otlp.export_answers import (
    Write,
    as_json,
    as_protobuf,
    spans_answer,
    status_in_json,
    status_in_protobuf,
)
from ingest_api.otlp.telemetry_data import SpansOfScope, UnreadableError
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation.feedback import CallContext
from runtime.api_key_authentication import Caller
from runtime.http_errors import ApiError

NOT_KEPT = "not_kept"
"""Outcome of a span that is accepted and is no request."""


class OtlpDialects:
    """The dialects with the limits of an edge. `context` gives the workspace and the time of a call."""

    def __init__(self, settings: Settings, context: Callable[[Caller], CallContext]) -> None:
        self._limits, self._most_unpacked = settings.limits, settings.max_unpacked_bytes
        self._context = context
        self._spans_in_protobuf = self._dialect(PROTOBUF, self._spans(protobuf_export.spans_in, as_protobuf))
        self._spans_in_json = self._dialect(JSON, self._spans(json_export.spans_in, as_json))

    def of_spans(self, headers: Headers) -> Dialect:
        """The dialect of `POST /v1/traces` with these headers."""
        return self._spans_in_protobuf if media_type_of(headers) == PROTOBUF else self._spans_in_json

    def _dialect(self, media_type: bytes, decide: Callable[[bytes, Caller], Accepted]) -> Dialect:
        return Dialect(
            lambda _, __, body, caller: decide(body, caller),
            lambda accepted: accepted.answer or b"",
            media_type,
            self._read,
            status_in_protobuf if media_type == PROTOBUF else status_in_json,
            slow=True,
        )

    def _read(self, headers: Headers, body: bytes) -> bytes:
        if media_type_of(headers) != PROTOBUF:
            check_media_type(headers)
        return unpacked(body, headers.get(b"content-encoding", b""), self._most_unpacked)

    def _spans(self, read: Callable[[bytes], list[SpansOfScope]], write: Write) -> Callable[[bytes, Caller], Accepted]:
        def decide(body: bytes, caller: Caller) -> Accepted:
            try:
                export = requests_of(read(body), self._context(caller), self._limits)
            except UnreadableError as fault:
                raise ApiError(str(fault)) from None
            rejections = export.rejections
            left_out: Mapping[str, int] = rejections.reasons | ({NOT_KEPT: export.not_kept} if export.not_kept else {})
            return Accepted([], export.records, answer=spans_answer(rejections, write), left_out=left_out)

        return decide

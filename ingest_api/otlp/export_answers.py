"""The answers of OTLP's exports: success, partial success, and the status that says why an export is refused.

Each is in the encoding of the export that it answers.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ingest_api.otlp.rejections import Rejections
from ingest_api.validation.json_limits import dump
from runtime.http_errors import ApiError

_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 6, 413: 8, 429: 8, 503: 14}
_INTERNAL = 13
"""Codes of google.rpc, by HTTP status."""
# The fields of google.rpc.Status, which is not worth a package of its own: an integer and a text.
_CODE_FIELD, _MESSAGE_FIELD = b"\x08", b"\x12"

Write = Callable[[Message], bytes]


def as_protobuf(message: Message) -> bytes:
    """A message in protobuf."""
    written: bytes = message.SerializeToString()
    return written


def as_json(message: Message) -> bytes:
    """A message in JSON, as protobuf writes it."""
    return dump(MessageToDict(message))


def spans_answer(rejections: Rejections, write: Write) -> bytes:
    """The answer to an export of spans."""
    if not rejections.message:
        return write(ExportTraceServiceResponse())
    partial = ExportTracePartialSuccess(rejected_spans=rejections.items, error_message=rejections.message)
    return write(ExportTraceServiceResponse(partial_success=partial))


def records_answer(rejections: Rejections, write: Write) -> bytes:
    """The answer to an export of log records."""
    if not rejections.message:
        return write(ExportLogsServiceResponse())
    partial = ExportLogsPartialSuccess(rejected_log_records=rejections.items, error_message=rejections.message)
    return write(ExportLogsServiceResponse(partial_success=partial))


def status_in_protobuf(error: ApiError) -> bytes:
    """The google.rpc.Status of a refused export."""
    text = error.message.encode()
    return _CODE_FIELD + bytes([_code(error)]) + _MESSAGE_FIELD + _varint(len(text)) + text


def status_in_json(error: ApiError) -> bytes:
    """The same in JSON."""
    status: dict[str, Any] = {"code": _code(error), "message": error.message}
    return dump(status)


def _code(error: ApiError) -> int:
    return _CODES.get(error.status, _INTERNAL)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])

"""Exports of OTLP in both encodings, and an edge that records what it would publish of them."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import patch

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest_api.app import create_app
from ingest_api.http.publish_endpoint import Message
from ingest_api.settings import Settings
from tests.fuzz.edge import NOW_MS, NoKeys, Recorder

Json = dict[str, Any]
TRACE, SPAN, PARENT = bytes(range(1, 17)), bytes(range(1, 9)), bytes(range(11, 19))
START_NS = NOW_MS * 1_000_000 - 5_000_000_000
CALL: Json = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1"}
"""The least that makes a span a request."""


def any_value(value: Any) -> Any:
    """The `AnyValue` of a value of Python."""
    if value is None:
        return AnyValue()
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    made = AnyValue()
    if isinstance(value, str):
        made.string_value = value
    elif isinstance(value, dict):
        made.kvlist_value.SetInParent()
        add_attributes(made.kvlist_value.values, value)
    else:
        made.array_value.SetInParent()
        made.array_value.values.extend(map(any_value, value))
    return made


def add_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        target.add(key=name).value.CopyFrom(any_value(value))


def span(attributes: Mapping[str, Any] = CALL, events: Sequence[tuple[str, Json]] = (), **fields: Any) -> Any:
    """A span that took 840 ms."""
    given = {"trace_id": TRACE, "span_id": SPAN, "name": "chat m-1", "start_time_unix_nano": START_NS,
             "end_time_unix_nano": START_NS + 840_000_000}  # fmt: skip
    made = Span(**(given | fields))
    add_attributes(made.attributes, attributes)
    for name, said in events:
        add_attributes(made.events.add(name=name, time_unix_nano=START_NS).attributes, said)
    return made


def export(*spans: Any, resource: Mapping[str, Any] | None = None, scope: str = "") -> Any:
    """The export of these spans, of one resource and one scope."""
    made = ExportTraceServiceRequest()
    of_resource = made.resource_spans.add()
    add_attributes(of_resource.resource.attributes, resource or {})
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = scope
    of_scope.spans.extend(spans)
    return made


def in_json(message: Any) -> bytes:
    """A message as OTLP has it in JSON: as protobuf does, but with ids in hexadecimal digits."""

    def with_hex(node: Any) -> Any:
        if isinstance(node, list):
            return [with_hex(each) for each in node]
        if not isinstance(node, dict):
            return node
        return {
            name: base64.b64decode(value).hex() if name in ("traceId", "spanId", "parentSpanId") else with_hex(value)
            for name, value in node.items()
        }

    return json.dumps(with_hex(MessageToDict(message))).encode()


class OtlpEdge:
    """One open edge. `events` are those of the latest call, by topic as they came."""

    def __init__(self, **settings: Any) -> None:
        recorders: list[Recorder] = []

        def recorder(settings: Settings) -> Recorder:
            recorders.append(Recorder(settings))
            return recorders[-1]

        with patch("ingest_api.app.Publisher", recorder), patch("ingest_api.app.ApiKeyFeed", NoKeys):
            self.app = create_app(Settings(**settings), lambda: NOW_MS)
        (self.recorder,) = recorders
        self.headers: dict[bytes, bytes] = {}

    @property
    def events(self) -> list[Json]:
        return [json.loads(record.value) for record in self.recorder.records]

    async def send(
        self, path: str, body: bytes, kind: str = "application/x-protobuf", **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of the answer to one POST."""
        self.recorder.records.clear()
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        named = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        scope = {
            "type": "http", "scheme": "http", "http_version": "1.1", "method": "POST", "path": path,
            "raw_path": path.encode(), "query_string": b"", "client": ("127.0.0.1", 1),
            "headers": [(b"host", b"localhost"), *((n.encode(), v.encode()) for n, v in named.items() if v)],
        }  # fmt: skip
        await self.app(scope, receive, send)
        self.headers = dict(sent[0]["headers"])
        return int(sent[0]["status"]), bytes(sent[1]["body"])

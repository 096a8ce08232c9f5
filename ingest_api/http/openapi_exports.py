"""The OTLP endpoints as OpenAPI operations. What an export holds is defined by OTLP, not here."""

from typing import Any

from typing_extensions import TypedDict

from ingest_api.http.dialects import PROTOBUF
from ingest_api.http.openapi_responses import RATE_LIMIT_HEADERS, failures


class ExportStatus(TypedDict):
    """Why an export is refused, as a `google.rpc.Status`: the code of gRPC for the HTTP status, and a sentence."""

    code: int
    message: str


class PartialSuccess(TypedDict, total=False):
    """How many spans are not stored, as text or as a number, and why."""

    rejectedSpans: str | int
    errorMessage: str


class ExportAnswer(TypedDict, total=False):
    """Kafka has acknowledged every span that is not rejected."""

    partialSuccess: PartialSuccess


_SPAN = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat m-1",
    "startTimeUnixNano": "1769860800123000000",
    "endTimeUnixNano": "1769860800535000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "m-1"}},
        {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "12"}},
        {"key": "user.id", "value": {"stringValue": "user-7"}},
    ],
}
_SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [_SPAN]}]}]}


def export_spans() -> dict[str, Any]:
    """`POST /v1/traces`."""
    content = {"$ref": "#/components/schemas/ExportAnswer"}
    binary = {"type": "string", "format": "binary"}
    refused = failures(has_body=True, not_found=False, keyed=False)
    for status, response in refused.items():
        documented = response["content"]["application/json"]
        message = documented["example"]["message"]
        status_schema: dict[str, Any] = {"$ref": "#/components/schemas/ExportStatus"}
        documented["schema"] = {"anyOf": [status_schema, documented["schema"]]} if status == "403" else status_schema
        documented["example"] = {"code": 3, "message": message}
        response["content"][PROTOBUF.decode()] = {"schema": binary}
    accepted = {
        "description": "Kafka has acknowledged every span that is not rejected.",
        "content": {
            "application/json": {
                "schema": content,
                "example": {},
            },
            PROTOBUF.decode(): {"schema": binary},
        },
        "headers": RATE_LIMIT_HEADERS,
    }
    schema = {
        "type": "object",
        "properties": {"resourceSpans": {"type": "array", "items": {"type": "object"}}},
        "description": "An `ExportTraceServiceRequest` of OTLP.",
    }
    return {
        "operationId": "export_spans",
        "tags": ["publishing"],
        "summary": "Log requests as OpenTelemetry spans (OTLP/HTTP)",
        "description": "In protobuf or JSON, also under gzip. Spans of calls to a model become request logs. Repeating"
        " an export stores nothing twice.",
        "parameters": [],
        "responses": {"200": accepted, **refused},
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema, "examples": {"one": {"value": _SPANS}}},
                PROTOBUF.decode(): {"schema": binary},
            },
        },
    }

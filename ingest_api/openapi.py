"""The OpenAPI document: FastAPI's own for its routes, and the publishing endpoints' from the types that validate them.

Promises that no field or limit is written twice. Whoever adds a publishing endpoint adds its operation here; a
test compares the two.
"""

from collections.abc import Sequence
from typing import Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from typing_extensions import TypedDict

from ingest_api.bodies import FeedbackChange, FeedbackIn, LogIn
from ingest_api.hot import NOT_TO_BE_REPEATED
from ingest_api.settings import Settings
from schemas.failures import error_content


class FeedbackSaved(TypedDict):
    """Kafka has acknowledged every event of the call. Ids come in the order of the items."""

    status: Literal["success"]
    message: str
    feedback_ids: list[str]


class LogsSaved(TypedDict):
    """Kafka has acknowledged every event of the call. Ids and trace ids come in the order of the items."""

    status: Literal["success"]
    message: str
    ids: list[str]
    trace_ids: list[str]


class ErrorTold(TypedDict):
    """What is wrong, its code, and the field at fault."""

    message: str
    code: str
    param: str | None


class ErrorData(TypedDict):
    """What is wrong, as Portkey's platform tells it."""

    message: str
    errorCode: str


class Failure(TypedDict):
    """Nothing was accepted, unless a 503 says that its outcome is not known."""

    status: Literal["failure"]
    success: Literal[False]
    message: str
    error: ErrorTold
    data: ErrorData


_TYPES: tuple[Any, ...] = (FeedbackIn, FeedbackChange, LogIn, FeedbackSaved, LogsSaved, Failure)
_ID = "01970000-0000-8000-8000-9b11edf90000"
_FEEDBACK_EXAMPLE = {
    "trace_id": "request-4711",
    "value": 5,
    "weight": 0.5,
    "metadata": {"_user": "user-7", "_environment": "production", "comment": "to the point"},
}
_LOG_EXAMPLE = {
    "trace_id": "request-4711",
    "request": {"provider": "openai", "url": "https://provider.example/v1/chat", "body": {"model": "m-1"}},
    "response": {
        "status": 200,
        "response_time": 412,
        "body": {"usage": {"prompt_tokens": 12, "completion_tokens": 34}},
    },
    "metadata": {"_user": "user-7"},
}
_TRACE_ID_HEADER = {
    "name": "x-portkey-trace-id",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The trace id of items that carry none.",
    "example": "request-4711",
}
_IDEMPOTENCY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "The same key and body give the same ids, so a repeated call stores nothing twice. The same key with"
    " another body is refused, or ends in the dead letters where the edge did not know the key.",
}
_ID_PARAMETER = {
    "name": "feedback_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The id that the create call answered with.",
    "example": _ID,
}


RATE_LIMIT_HEADERS = {
    name: {"schema": {"type": "integer"}, "description": f"{about} Only where the key is limited."}
    for name, about in (
        ("RateLimit-Limit", "Events a second, and at most at once."),
        ("RateLimit-Remaining", "Events that are left now."),
        ("RateLimit-Reset", "Seconds until all of them are there again."),
    )
}
SECURITY_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
    "bearer": {"type": "http", "scheme": "bearer"},
}


def openapi_schema(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The whole document."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary="Weighted feedback for any request an app has served, joined by trace id.",
        routes=app.routes,
    )
    mode: JsonSchemaMode = "validation"
    _, schemas = TypeAdapter.json_schemas(
        [(each, mode, TypeAdapter(each)) for each in _TYPES], ref_template="#/components/schemas/{model}"
    )
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(schemas["$defs"])
    # None of them is needed while the server is open.
    components["securitySchemes"] = SECURITY_SCHEMES
    document["security"] = [{"key": []}, {"bearer": []}, {}]
    _drop_what_is_never_answered(document)
    feedback = _operation(
        "create_feedback",
        "Give feedback",
        "One object or an array of them; a bulk call is stored whole or not at all. Null is the same as missing.",
        [_TRACE_ID_HEADER, _IDEMPOTENCY_HEADER],
        _one_or_many("FeedbackIn", settings.max_bulk),
        {
            "one": _FEEDBACK_EXAMPLE,
            "bulk": [_FEEDBACK_EXAMPLE, {"trace_id": "request-4712", "value": -1}],
            "thumb": {"trace_id": "request-4711", "value": 1},
            "textual": {"trace_id": "request-4711", "value": 0, "weight": None, "metadata": '{"_user": "user-7"}'},
        },
        _saved("FeedbackSaved", "Feedback successfully saved", feedback_ids=[_ID]),
        keyed=True,
    )
    logs = _operation(
        "log_requests",
        "Log requests that an app has served",
        "One object or an array of them; a bulk call is stored whole or not at all.",
        [_TRACE_ID_HEADER, _IDEMPOTENCY_HEADER],
        _one_or_many("LogIn", settings.max_bulk),
        {
            "one": _LOG_EXAMPLE,
            "bulk": [
                _LOG_EXAMPLE,
                {
                    "request": {"provider": "openai", "body": {"model": "m-1"}},
                    "response": {"response_time": 123, "body": {"usage": {"total_tokens": 46}}},
                    "metadata": {"trace_id": "request-4712", "span_id": "span-1", "span_name": "answer"},
                    "start_time": "2026-01-31T12:00:00.123Z",
                },
            ],
        },
        _saved("LogsSaved", "Logs successfully saved", ids=[_ID], trace_ids=["request-4711"]),
        keyed=True,
    )
    update = _operation(
        "update_feedback",
        "Change feedback",
        "At least one of value, weight and metadata; what is missing or null keeps its stored value.",
        [_ID_PARAMETER],
        {"$ref": "#/components/schemas/FeedbackChange"},
        {"value": {"value": 3}, "all": {"value": 3, "weight": 0.25, "metadata": {"comment": "second thought"}}},
        _saved("FeedbackSaved", "Feedback successfully updated", feedback_ids=[_ID]),
        not_found=True,
    )
    delete = _operation(
        "delete_feedback",
        "Delete feedback",
        "For good: its id is never used again.",
        [_ID_PARAMETER],
        None,
        {},
        _saved("FeedbackSaved", "Feedback successfully deleted", feedback_ids=[_ID]),
        not_found=True,
    )
    paths = document["paths"]
    paths.setdefault("/v1/feedback", {}).update(post=feedback)
    paths.setdefault("/v1/feedback/{feedback_id}", {}).update(put=update, delete=delete)
    paths.setdefault("/v1/logs", {}).update(post=logs)
    return document


def _drop_what_is_never_answered(document: dict[str, Any]) -> None:
    """FastAPI tells of a 422 where parameters are declared; here such a fault is a 400 in the one error body."""
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def _operation(
    operation_id: str,
    summary: str,
    description: str,
    parameters: Sequence[dict[str, Any]],
    body: dict[str, Any] | None,
    examples: dict[str, Any],
    saved: dict[str, Any],
    not_found: bool = False,
    keyed: bool = False,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "tags": ["publishing"],
        "summary": summary,
        "description": description,
        "parameters": list(parameters),
        "responses": {"200": saved, **_failures(body is not None, not_found, keyed)},
    }
    if body is not None:
        named = {name: {"value": value} for name, value in examples.items()}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body, "examples": named}},
        }
    return operation


def _one_or_many(name: str, most: int) -> dict[str, Any]:
    item = {"$ref": f"#/components/schemas/{name}"}
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1, "maxItems": most}]}


def _saved(name: str, message: str, **lists: list[str]) -> dict[str, Any]:
    saved = _json("Kafka has acknowledged it.", name, {"status": "success", "message": message, **lists})
    return saved | {"headers": RATE_LIMIT_HEADERS}


def _failures(has_body: bool, not_found: bool, keyed: bool) -> dict[str, Any]:
    told: dict[str, tuple[str, str | None, str]] = {
        "401": ("an API key is needed", "x-portkey-api-key", "No valid API key came with the call."),
        "403": ("the API key lacks the scope", "x-portkey-api-key", "The key lacks the scope of this call."),
        "408": ("the request did not arrive whole within 30 s", None, "It did not arrive in time."),
        "429": ("this key's limit of 100 events a second is used up: wait 1 s", None, "Too many events."),
        "413": ("the body is larger than the limit: send it in parts", None, "The body is too large."),
        "503": ("nothing was stored: Kafka does not answer; try again later", None, "Kafka is away or slow."),
    }
    told["400"] = (
        ("value must be an integer from -10 to 10, got 11", "value", "The body, or what a header says, is not valid.")
        if has_body
        else ('Content-Encoding must be left out, got "gzip"', "Content-Encoding", "A header is not valid.")
    )
    if not_found:
        told["404"] = ("there is no feedback with the id", "feedback_id", "The id was never given here.")
    if keyed:
        told["409"] = (
            "this Idempotency-Key was used before with another body",
            "Idempotency-Key",
            "The key stands for another call.",
        )
    failures = {
        status: _json(about, "Failure", error_content(int(status), message, param))
        for status, (message, param, about) in sorted(told.items())
    }
    retry_after = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}}
    failures["429"]["headers"] = retry_after | RATE_LIMIT_HEADERS
    failures["503"]["headers"] = retry_after | {
        NOT_TO_BE_REPEATED.decode(): {
            "schema": {"type": "string"},
            "description": "Only when the outcome is not known: part or all may have been stored.",
        },
    }
    return failures


def _json(description: str, name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}, "example": example}},
    }

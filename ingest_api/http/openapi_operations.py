"""The publishing endpoints as OpenAPI operations, from the types that validate their bodies.

Promises that no field or limit is written twice. A new publishing endpoint needs its operation here; a test compares
the two.
"""

from collections.abc import Sequence
from typing import Any

from ingest_api.http.openapi_exports import ExportAnswer, ExportStatus, export_spans
from ingest_api.http.openapi_responses import (
    RATE_LIMIT_HEADERS,
    FeedbackSaved,
    LogsSaved,
    TokenMade,
    described,
    failures,
    saved,
)
from ingest_api.settings import Settings
from ingest_api.validation.models import FeedbackChange, FeedbackIn, LogIn, TokenIn, VoteIn
from runtime.failure_body import Failure
from schemas.limits import MOST_KEY_CHARS
from schemas.vote_tokens import MOST_VOTE_NAME_CHARS

TYPES: tuple[Any, ...] = (
    *(FeedbackIn, FeedbackChange, LogIn, VoteIn, TokenIn, FeedbackSaved, LogsSaved, TokenMade, Failure),
    *(ExportAnswer, ExportStatus),
)
"""The types that become components of the document."""
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
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_KEY_CHARS},
    "description": "The same key and body give the same ids, so a repeated call stores nothing twice. The same key with"
    " another body, or at another path, is refused, or ends in the dead letters where the edge did not know the key.",
}
_TOKEN = "fbt_0123456789ab.eyJ0cmFjZV9pZCI6InJlcXVlc3QtNDcxMSJ9.0zvJ5cQmPPfwwvJ5cQmPPfwwvJ5cQmPPfwwvJ5cQmPM"
_VOTE_HEADER = {
    "name": "x-feedback-vote",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_VOTE_NAME_CHARS},
    "description": "The name of the vote, where the token allows many; refused where it allows one.",
}
_ID_PARAMETER = {
    "name": "feedback_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The id that the create call answered with.",
    "example": _ID,
}


def operations(settings: Settings) -> dict[str, dict[str, dict[str, Any]]]:
    """The operations of the publishing endpoints, by path and method."""
    return {
        "/v1/feedback": {"post": _create_feedback(settings.max_bulk)},
        "/v1/feedback/{feedback_id}": {"put": _update_feedback(), "delete": _delete_feedback()},
        "/v1/logs": {"post": _log_requests(settings.max_bulk)},
        "/v1/traces": {"post": export_spans()},
        "/v1/feedback/tokens": {"post": _make_token()},
        "/v1/feedback/vote": {"post": _vote("post"), "put": _vote("put"), "delete": _undo_vote()},
    }


def _create_feedback(max_bulk: int) -> dict[str, Any]:
    return _operation(
        "create_feedback",
        "Give feedback",
        "One object or an array of them; a bulk call is stored whole or not at all. Null is the same as missing.",
        [_TRACE_ID_HEADER, _IDEMPOTENCY_HEADER],
        _one_or_many("FeedbackIn", max_bulk),
        {
            "one": _FEEDBACK_EXAMPLE,
            "bulk": [_FEEDBACK_EXAMPLE, {"trace_id": "request-4712", "value": -1}],
            "thumb": {"trace_id": "request-4711", "value": 1},
            "textual": {"trace_id": "request-4711", "value": 0, "weight": None, "metadata": '{"_user": "user-7"}'},
        },
        saved("FeedbackSaved", "Feedback successfully saved", feedback_ids=[_ID]),
        keyed=True,
    )


def _log_requests(max_bulk: int) -> dict[str, Any]:
    return _operation(
        "log_requests",
        "Log requests that an app has served",
        "One object or an array of them; a bulk call is stored whole or not at all.",
        [_TRACE_ID_HEADER, _IDEMPOTENCY_HEADER],
        _one_or_many("LogIn", max_bulk),
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
        saved("LogsSaved", "Logs successfully saved", ids=[_ID], trace_ids=["request-4711"]),
        keyed=True,
    )


def _update_feedback() -> dict[str, Any]:
    return _operation(
        "update_feedback",
        "Change feedback",
        "At least one of value, weight and metadata; what is missing or null keeps its stored value.",
        [_ID_PARAMETER],
        {"$ref": "#/components/schemas/FeedbackChange"},
        {"value": {"value": 3}, "all": {"value": 3, "weight": 0.25, "metadata": {"comment": "second thought"}}},
        saved("FeedbackSaved", "Feedback successfully updated", feedback_ids=[_ID]),
        not_found=True,
    )


def _delete_feedback() -> dict[str, Any]:
    return _operation(
        "delete_feedback",
        "Delete feedback",
        "For good: its id is never used again.",
        [_ID_PARAMETER],
        None,
        {},
        saved("FeedbackSaved", "Feedback successfully deleted", feedback_ids=[_ID]),
        not_found=True,
    )


def _make_token() -> dict[str, Any]:
    made = described("The token.", "TokenMade", {"status": "success", "message": "Token successfully made",
        "token": _TOKEN, "expires_at": "2026-01-31T12:00:00.000Z", "feedback_ids": [_ID]})  # fmt: skip
    return _operation(
        "make_vote_token",
        "Make a token with which a web page may vote on one trace",
        "For keys of the scope `feedback.token`. Nothing is stored: the token is signed, and carries what it allows.",
        [],
        {"$ref": "#/components/schemas/TokenIn"},
        {
            "thumbs": {"trace_id": "request-4711", "metadata": {"_user": "user-7"}},
            "all": {
                "trace_id": "request-4711",
                "values": [-10, 0, 10],
                "weight": 0.5,
                "votes": "many",
                "voter": "session-12",
                "expires_in": 3600,
                "metadata": {"_prompt": "title"},
            },
        },
        made | {"headers": RATE_LIMIT_HEADERS},
    )


def _vote(method: str) -> dict[str, Any]:
    return _operation(
        f"{method}_vote",
        "Vote with a token",
        "A second vote of the same voter takes the place of the first, also after it was undone. The token comes as"
        " `Authorization: Bearer TOKEN`; an API key is refused. Pages of the origins in FEEDBACK_BROWSER_ORIGINS may"
        " call it.",
        [_VOTE_HEADER],
        {"$ref": "#/components/schemas/VoteIn"},
        {"up": {"value": 1}, "with words": {"value": 0, "comment": "not what I asked for"}},
        saved("FeedbackSaved", "Feedback successfully saved", feedback_ids=[_ID]),
    )


def _undo_vote() -> dict[str, Any]:
    return _operation(
        "undo_vote",
        "Take back a vote",
        "The voter may vote again with the same token.",
        [_VOTE_HEADER],
        None,
        {},
        saved("FeedbackSaved", "Feedback successfully deleted", feedback_ids=[_ID]),
    )


def _operation(
    operation_id: str,
    summary: str,
    description: str,
    parameters: Sequence[dict[str, Any]],
    body: dict[str, Any] | None,
    examples: dict[str, Any],
    accepted: dict[str, Any],
    not_found: bool = False,
    keyed: bool = False,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id,
        "tags": ["publishing"],
        "summary": summary,
        "description": description,
        "parameters": list(parameters),
        "responses": {"200": accepted, **failures(body is not None, not_found, keyed)},
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

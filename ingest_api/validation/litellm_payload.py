"""What LiteLLM's generic callback sends, as request logs. Pure.

LiteLLM posts a *StandardLoggingPayload* for each call, in an array, one a line, or alone. Each is rewritten into the
form of a request log here, and then validated as all others are.
"""

from typing import Any, NamedTuple, TypeGuard

import msgspec

from ingest_api.validation.json_limits import object_in_text
from ingest_api.validation.numbers import cents_of
from ingest_api.validation.text_redaction import text_without_secrets
from runtime.harmless_names import HarmlessNames

Json = dict[str, Any]

_SIGNS = ("call_type", "startTime", "endTime")
_KEPT = ("call_type", "model_group", "model_id", "session_id", "litellm_call_id", "stream", "cache_hit", "user_agent")
"""Fields that become metadata under their own names."""
_KEPT_OF_METADATA = (
    *("user_api_key_alias", "user_api_key_user_id", "user_api_key_team_id", "user_api_key_team_alias"),
    *("user_api_key_org_id", "user_api_key_org_alias", "user_api_key_project_id", "user_api_key_project_alias"),
    "applied_guardrails",
)
_UNKNOWN_FAILURE = 500
"""The status of a failed call that names no other."""
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class LiteLlmCall(NamedTuple):
    """A call as a request log, and what identifies it, so that a repeated batch stores nothing twice."""

    log: Json
    identity: str


def is_payload(item: Any) -> bool:
    """Whether an item has the shape of LiteLLM's, and not that of a request log."""
    return isinstance(item, dict) and "request" not in item and all(name in item for name in _SIGNS)


def lines_as_array(body: bytes) -> bytes:
    """A body of one payload a line as an array; any other body unchanged."""
    first, newline, _ = body.partition(b"\n")
    if not newline or b'"call_type"' not in first or not first.lstrip().startswith(b"{"):
        return body
    try:
        msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body
    return b"[" + b",".join(line for line in body.split(b"\n") if line.strip()) + b"]"


def as_request_log(payload: Json, harmless: HarmlessNames) -> LiteLlmCall:
    """The request log of a payload. Values of the wrong type are left to validation."""
    metadata = _object(payload.get("metadata"))
    headers = {name.lower(): value for name, value in _object(metadata.get("requester_custom_headers")).items()}
    call_id = payload.get("litellm_call_id") or payload.get("id")
    log: Json = {
        "request": _request(payload, headers),
        "response": _response(payload, harmless),
        "metadata": _metadata(payload, metadata, headers),
        "trace_id": headers.get("x-portkey-trace-id") or payload.get("trace_id") or call_id,
        "span_id": headers.get("x-portkey-span-id") or call_id,
        "parent_span_id": headers.get("x-portkey-parent-span-id"),
        "span_name": headers.get("x-portkey-span-name") or payload.get("call_type"),
        "start_time": payload.get("startTime"),
    }
    if _is_number(cost := payload.get("response_cost")):
        log["cost"] = cents_of(cost)
    identity = f"{payload.get('id')}/{call_id}/{payload.get('startTime')}/{payload.get('status')}"
    return LiteLlmCall(log, identity)


def _request(payload: Json, headers: Json) -> Json:
    body = {"model": payload.get("model"), "messages": payload.get("messages")}
    address = payload.get("api_base") or _object(payload.get("hidden_params")).get("api_base")
    found = {
        "provider": payload.get("custom_llm_provider") or _object(payload.get("error_information")).get("llm_provider"),
        "url": address,
        "headers": headers,
        "body": _object(payload.get("model_parameters")) | body,
    }
    return {name: value for name, value in found.items() if value not in _NOTHING}


def _response(payload: Json, harmless: HarmlessNames) -> Json:
    began, ended = payload.get("startTime"), payload.get("endTime")
    took = (
        {"response_time": (ended - began) * 1000} if _is_number(began) and _is_number(ended) and ended >= began else {}
    )
    if payload.get("status") == "failure":
        error = _object(payload.get("error_information"))
        message = error.get("error_message") or payload.get("error_str")
        facts = {
            "type": error.get("error_class"),
            "code": error.get("error_code"),
            "message": text_without_secrets(message, harmless) if isinstance(message, str) else message,
        }
        body: Json = {"error": {name: value for name, value in facts.items() if value not in _NOTHING}}
        return {"status": _status(error.get("error_code")), "body": body, **took}
    answer = payload.get("response")
    body = {**answer} if isinstance(answer, dict) else {} if answer is None else {"output": answer}
    counts = {name: payload.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    body["usage"] = _object(body.get("usage")) | {name: count for name, count in counts.items() if _is_number(count)}
    return {"status": 200, "body": body, **took}


def _status(code: Any) -> int:
    """The HTTP status in the code of an error, which is a text."""
    text = str(code)
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() else _UNKNOWN_FAILURE


def _metadata(payload: Json, metadata: Json, headers: Json) -> Json:
    """The caller's own tags first, and then what LiteLLM knows of the call."""
    found = {name: payload.get(name) for name in _KEPT} | {name: metadata.get(name) for name in _KEPT_OF_METADATA}
    found["litellm_trace_id"] = payload.get("trace_id")
    found["tags"] = payload.get("request_tags")
    found["_user"] = payload.get("end_user") or metadata.get("user_api_key_end_user_id")
    found["_organisation"] = metadata.get("user_api_key_org_id")
    own = (
        _object(metadata.get("spend_logs_metadata"))
        | _object(metadata.get("requester_metadata"))
        | _object(object_in_text(headers.get("x-portkey-metadata")))
    )
    return {name: value for name, value in found.items() if value not in _NOTHING} | own


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

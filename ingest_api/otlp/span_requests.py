"""Spans of model calls as request logs. Pure.

What of a span has no field of its own in a request log becomes metadata. The id of the request is made from the ids of
trace and span, so an export that is repeated gives the same requests.
"""

from typing import Any

import msgspec

from ingest_api.otlp.attribute_names import (
    ANSWERING_MODEL,
    ASKED_MODEL,
    COMPLETION_TOKENS,
    METHOD,
    PROMPT_TOKENS,
    PROVIDER,
    TOTAL_TOKENS,
    take_cents,
    take_count,
    take_text,
)
from ingest_api.otlp.message_parts import value_in_text
from ingest_api.otlp.span_bodies import take_bodies
from ingest_api.otlp.span_failures import error_body, status_of
from ingest_api.otlp.span_headers import take_headers, take_url
from ingest_api.otlp.special_fields import metadata_of
from ingest_api.otlp.telemetry_data import Attributes, FinishedSpan
from ingest_api.settings import BodyLimits
from ingest_api.validation.body_retention import retained_body
from ingest_api.validation.fields import metadata_json, specials_of
from ingest_api.validation.json_limits import dump
from ingest_api.validation.request_log_facts import model_of, time_in_range
from ingest_api.validation.text_redaction import text_without_secrets
from runtime.harmless_names import HarmlessNames
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from schemas.limits import HIGHEST_TOKENS

_PARAMETERS = "llm.invocation_parameters"
_NANOSECONDS = 1_000_000


def request_of(span: FinishedSpan, shared: Attributes, limits: BodyLimits) -> dict[str, Any]:
    """The fields of a request log, but for those that tell where it belongs. ApiError if one is at fault."""
    attributes = shared | span.attributes
    harmless = limits.harmless
    fields: dict[str, Any] = {"span_name": text_without_secrets(span.name, harmless)} if span.name else {}
    request_headers, response_headers = take_headers(attributes, harmless)
    status, error = status_of(span, attributes), error_body(span, attributes, harmless)
    asked, answered = take_bodies(attributes, span.events)
    model = (
        take_text(attributes, ASKED_MODEL)
        or model_of(_object(asked), _object(value_in_text(attributes.get(_PARAMETERS))))
        or take_text(attributes, ANSWERING_MODEL)
    )
    model = model and text_without_secrets(model, harmless)
    method, provider = take_text(attributes, METHOD), take_text(attributes, PROVIDER)
    facts = {
        "provider": provider and text_without_secrets(provider, harmless),
        "model": model,
        "method": method.lower() if method else "post",
        "url": take_url(attributes, harmless),
        "status": status,
        "response_time_ms": _duration_ms(span),
        **_tokens(attributes),
        "cost": take_cents(attributes),
        "request_headers": _fragment(request_headers),
        "request_body": retained_body(_with_model(asked, model), limits),
        "response_headers": _fragment(response_headers),
        "response_body": retained_body(error if answered is None else answered, limits),
    }
    fields |= {name: fact for name, fact in facts.items() if fact is not None}
    metadata = _metadata(attributes, _object(asked), span, harmless)
    fields |= specials_of(metadata)
    fields["metadata"] = msgspec.Raw(metadata_json(metadata, limits))
    if span.start_ns:
        fields["started_at"] = rfc3339(time_in_range(span.start_ns // _NANOSECONDS, "startTimeUnixNano"))
    return fields


def _duration_ms(span: FinishedSpan) -> float | None:
    """The milliseconds that the call took; None where the two clocks, or one of them, cannot tell."""
    if not span.start_ns or span.end_ns < span.start_ns:
        return None
    return (span.end_ns - span.start_ns) / _NANOSECONDS


def _tokens(attributes: Attributes) -> dict[str, int | None]:
    asked, answered = take_count(attributes, PROMPT_TOKENS), take_count(attributes, COMPLETION_TOKENS)
    total = take_count(attributes, TOTAL_TOKENS)
    if total is None and (asked is not None or answered is not None):
        total = (asked or 0) + (answered or 0)
        if total > HIGHEST_TOKENS:
            raise ApiError(f"tokens must be at most {HIGHEST_TOKENS} together, got {total}", "response")
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": total}


def _fragment(headers: dict[str, Any] | None) -> msgspec.Raw | None:
    return None if headers is None else msgspec.Raw(dump(headers))


def _with_model(body: Any, model: str | None) -> Any:
    return {"model": model, **body} if model and isinstance(body, dict) and "model" not in body else body


def _object(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}


def _metadata(attributes: Attributes, asked: dict[str, Any], span: FinishedSpan, harmless: HarmlessNames) -> Attributes:
    """What is left of the attributes."""
    metadata = metadata_of(attributes, harmless)
    if "_user" not in metadata and isinstance(user := asked.get("user"), str):
        metadata["_user"] = user
    if span.status_message:
        metadata["otel.status_description"] = text_without_secrets(span.status_message, harmless)
    return metadata

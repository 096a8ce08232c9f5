"""Decides request log calls: from body and headers to the events to publish.

Pure, except for the randomness of new ids; the time is given. Takes every shape that Portkey's SDKs and the LangChain
and LlamaIndex handlers send, and what LiteLLM sends. If a field is in several places, the body wins over the headers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from ingest_api.access.idempotency import Claim, digest, key_in
from ingest_api.headers import header_metadata
from ingest_api.records import Accepted, EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation.body_retention import retained_body
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.fields import (
    checked_trace_id,
    for_each_item,
    items_of,
    metadata_json,
    metadata_object,
    special_text,
    specials_of,
    validated,
)
from ingest_api.validation.json_limits import dump, parse, shown
from ingest_api.validation.litellm_payload import LiteLlmCall, as_request_log, is_payload, lines_as_array
from ingest_api.validation.models import LOG_RULES, LOGS, TIME_NAMES, LogIn
from ingest_api.validation.redaction import headers_without_secrets
from ingest_api.validation.request_log_facts import body_object, model_of, time_of, tokens_of
from ingest_api.validation.shared_data import SharedRoom, size_of
from runtime import trace_headers as sent
from runtime.harmless_names import HarmlessNames
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from runtime.url_redaction import url_without_secrets
from schemas.ids import idempotent_id, new_id, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import REQUEST_LOGS

_OF_LITELLM = -3
"""In place of a position, so that no Idempotency-Key gives the id of a call of LiteLLM's."""
_TRACE_NAMES = ("trace_id", "traceId", "traceID")


class _Shared(NamedTuple):
    """What all logs of a call have in common: its headers and what they say, and the time it was received."""

    headers: Mapping[bytes, bytes]
    metadata: dict[str, Any]
    parent: tuple[str, str] | None
    key: str | None
    received_at: str


class _Event(NamedTuple):
    """The event of one log, with the hash and the record key of its trace."""

    trace_hash: int
    record_key: bytes
    fields: dict[str, Any]


def log(body: bytes, headers: Mapping[bytes, bytes], call: CallContext, limits: BodyLimits) -> Accepted:
    """The events of a POST; ApiError if any of its items is at fault."""
    items, bulk = items_of(parse(lines_as_array(body)), limits)
    items, identities = _without_dialect(items, limits.harmless)
    logs = validated(LOGS, items, bulk, LOG_RULES, "a request log must be an object with request and response")
    shared = _Shared(
        headers, header_metadata(headers), sent.traceparent(headers), key_in(headers), rfc3339(call.now_ms)
    )
    events: list[_Event] = []
    room, shared_bytes = SharedRoom(), size_of(shared.metadata)

    def decide(index: int, item: LogIn) -> None:
        room.take(shared_bytes)
        events.append(_event(item, items[index], index, identities[index], shared, call, limits))

    for_each_item(logs, bulk, decide)
    trace_ids = [event.fields["trace_id"] for event in events]
    claim = None
    if shared.key is not None:
        claim = Claim(call.workspace, shared.key, digest(["request", items, shared.metadata, trace_ids]))
        for event in events:
            event.fields.update(idempotency_key=shared.key, idempotency_digest=claim.digest)
    records = [
        EventRecord(REQUEST_LOGS, event.trace_hash, event.record_key, dump(event.fields), call.now_ms)
        for event in events
    ]
    return Accepted([event.fields["request_id"] for event in events], records, trace_ids, claim)


def _event(
    item: LogIn,
    given: Mapping[str, Any],
    index: int,
    identity: str,
    shared: _Shared,
    call: CallContext,
    limits: BodyLimits,
) -> _Event:
    metadata = shared.metadata | metadata_object(item.get("metadata"))
    # Not the request's id, which is made from the hash of the trace id.
    trace_id = _trace_id(item, metadata, shared.headers, shared.parent, limits) or str(
        uuid4() if shared.key is None else idempotent_id(0, call.workspace, shared.key, index)
    )
    record_key = trace_key(call.workspace, trace_id)
    trace_hash = murmur2(record_key)
    fields = {
        "event": "request",
        "workspace": call.workspace,
        "request_id": _request_id(trace_hash, index, identity, shared.key, call),
        "trace_id": trace_id,
        **_span(item, metadata, shared.headers, shared.parent),
        **_facts(item, metadata, limits),
        "metadata": msgspec.Raw(metadata_json(metadata, limits)),
        "started_at": _started_at(item, given) or shared.received_at,
        "received_at": shared.received_at,
    }
    return _Event(trace_hash, record_key, fields)


def _request_id(trace_hash: int, index: int, identity: str, key: str | None, call: CallContext) -> str:
    """The id of a request: of the idempotency key, else of what LiteLLM calls it, else new."""
    if key is not None:
        return str(idempotent_id(trace_hash, call.workspace, key, index))
    if identity:
        return str(idempotent_id(trace_hash, call.workspace, identity, _OF_LITELLM))
    return str(new_id(trace_hash, call.now_ms))


def _without_dialect(items: list[Any], harmless: HarmlessNames) -> tuple[list[Any], list[str]]:
    """The items with LiteLLM's payloads as request logs, and what identifies each of these; empty for all others."""
    if not any(map(is_payload, items)):
        return items, [""] * len(items)
    # LiteLLM may have nothing to say of a call, and says null.
    calls = [
        as_request_log(item, harmless) if is_payload(item) else LiteLlmCall(item, "")
        for item in items
        if item is not None
    ]
    return [each.log for each in calls], [each.identity for each in calls]


def _trace_id(
    item: LogIn,
    metadata: Mapping[str, Any],
    headers: Mapping[bytes, bytes],
    parent: tuple[str, str] | None,
    limits: BodyLimits,
) -> str | None:
    for name in _TRACE_NAMES:
        if trace_id := _text_in(metadata, name):
            return checked_trace_id(trace_id, f"metadata.{name}", limits)
    if trace_id := item.get("trace_id") or sent.text_of(headers, sent.TRACE_ID):
        return checked_trace_id(trace_id, "trace_id", limits)
    return parent[0] if parent else None


def _span(
    item: LogIn, metadata: Mapping[str, Any], headers: Mapping[bytes, bytes], parent: tuple[str, str] | None
) -> dict[str, str]:
    found = {
        "span_id": item.get("span_id")
        or _span_id_in(metadata, "span_id", "spanId")
        or sent.text_of(headers, sent.SPAN_ID),
        "parent_span_id": item.get("parent_span_id")
        or _span_id_in(metadata, "parent_span_id", "parentSpanId")
        or sent.text_of(headers, sent.PARENT_SPAN_ID)
        or (parent[1] if parent else None),
        "span_name": item.get("span_name")
        or _text_in(metadata, "span_name", "spanName")
        or sent.text_of(headers, sent.SPAN_NAME),
    }
    # LangChain's handler writes "None" for the parent of a call outside any chain.
    return {name: text for name, text in found.items() if text and text != "None"}


def _facts(item: LogIn, metadata: Mapping[str, Any], limits: BodyLimits) -> dict[str, Any]:
    """The facts of the request and its response that are present, by event field."""
    request, response = item["request"], item["response"]
    asked, answered = body_object(request.get("body")), body_object(response.get("body"))
    status = response.get("status")
    facts = {
        "provider": request.get("provider"),
        "model": model_of(asked, answered),
        "method": request.get("method") or "post",
        "url": url_without_secrets(request.get("url"), limits.harmless),
        "status": 200 if status is None else status,
        "response_time_ms": response.get("response_time"),
        **tokens_of(answered),
        "cost": item.get("cost"),
        "request_headers": _fragment(headers_without_secrets(request.get("headers"), limits.harmless)),
        "request_body": retained_body(request.get("body"), limits),
        "response_headers": _fragment(headers_without_secrets(response.get("headers"), limits.harmless)),
        "response_body": retained_body(response.get("body"), limits),
        **_specials(metadata, asked),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _fragment(value: dict[str, Any] | None) -> msgspec.Raw | None:
    return None if value is None else msgspec.Raw(dump(value))


def _specials(metadata: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, str]:
    specials = specials_of(metadata)
    for special, name, holder, value in (
        ("_user", "metadata.user", metadata, "user"),
        ("_user", "request.body.user", asked, "user"),
        ("_organisation", "metadata.organization", metadata, "organization"),
    ):
        found = holder.get(value)
        # Callers use these names for their own data too, so an object here is not an error.
        if special not in specials and not isinstance(found, dict | list):
            text = special_text(found, name)
            if text is not None:
                specials[special] = text
    return specials


def _started_at(item: LogIn, given: Mapping[str, Any]) -> str | None:
    value = item.get("start_time")
    if value is None or value == "":
        return None
    return time_of(value, next(name for name in TIME_NAMES if name in given))


def _span_id_in(metadata: Mapping[str, Any], *names: str) -> str | None:
    """A span id as text; Portkey's OpenTelemetry exporter sends integers."""
    integers = {name: str(value) for name in names if type(value := metadata.get(name)) is int}
    return _text_in({**metadata, **integers}, *names)


def _text_in(metadata: Mapping[str, Any], *names: str) -> str | None:
    for name in names:
        value = metadata.get(name)
        if isinstance(value, str) and value:
            return value
        if value is not None and value != "":
            raise ApiError(f"metadata.{name} must be a string, got {shown(value)}", f"metadata.{name}")
    return None

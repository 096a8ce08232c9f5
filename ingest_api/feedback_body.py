"""Feedback calls decided: body and headers in, the events to publish out.

Pure but for the chance in a new id; time comes in. Promises that a call is wholly valid or refused with the field
that is at fault, so nothing of a refused call can be published.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple
from uuid import RFC_4122, UUID

import orjson

from ingest_api.bodies import CHANGE, FEEDBACK, FEEDBACK_RULES, FeedbackIn
from ingest_api.errors import RefusedError
from ingest_api.fields import (
    checked_trace_id,
    each,
    home_environment,
    items_of,
    metadata_json,
    metadata_object,
    specials_of,
    validated,
)
from ingest_api.headers import TRACE_ID, text_of
from ingest_api.idempotency import Claim, digest
from ingest_api.json_text import parse, shown
from ingest_api.records import Accepted, Record, rfc3339
from ingest_api.settings import Limits
from schemas.ids import idempotent_id, murmur2, new_id, trace_hash_of, trace_key
from schemas.topics import FEEDBACK_EVENTS

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

MAX_IDEMPOTENCY_KEY_CHARS = 255

# What the SDKs put into the path when their caller has left the id out or misspelt it.
_MISSING_ID = {
    "undefined": "the JavaScript client was given no id: its parameter is `feedbackID`, with a capital ID",
    "NOT_GIVEN": "the Python client was given no id: pass `feedback_id=…`",
    "None": "the client was given no id: pass the id that the create call answered with",
    "null": "the client was given no id: pass the id that the create call answered with",
}


class Call(NamedTuple):
    """Who calls and when; `now_ms` is in Unix milliseconds."""

    workspace: str
    now_ms: int


def create(body: bytes, headers: Mapping[bytes, bytes], call: Call, limits: Limits) -> Accepted:
    """The events of a POST; RefusedError if any of its items is at fault."""
    items, bulk = items_of(parse(body), limits)
    feedback = validated(FEEDBACK, items, bulk, FEEDBACK_RULES, "feedback must be an object with trace_id and value")
    fallback = text_of(headers, TRACE_ID)
    idempotency_key = _idempotency_key(headers)
    created_at = rfc3339(call.now_ms)
    ids: list[str] = []
    records: list[Record] = []

    def decide(index: int, item: FeedbackIn) -> None:
        trace_id = item.get("trace_id") or fallback
        if not trace_id:
            raise RefusedError("trace_id is required", "trace_id")
        key = trace_key(call.workspace, checked_trace_id(trace_id, "trace_id", limits))
        trace_hash = murmur2(key)
        if idempotency_key is None:
            feedback_id = str(new_id(trace_hash, call.now_ms))
        else:
            feedback_id = str(idempotent_id(trace_hash, call.workspace, idempotency_key, index))
        event = _created(item, trace_id, feedback_id, created_at, call.workspace, limits)
        ids.append(feedback_id)
        records.append(Record(FEEDBACK_EVENTS, trace_hash, key, event, call.now_ms))

    each(feedback, bulk, decide)
    if idempotency_key is None:
        return Accepted(ids, records)
    claim = Claim(call.workspace, idempotency_key, digest(_said(item, fallback) for item in feedback))
    return Accepted(ids, [_under(claim, record) for record in records], claim=claim)


def update(feedback_id: str, body: bytes, call: Call, limits: Limits) -> Accepted:
    """The event of a PUT. RefusedError 404 for an id that was never given here, 400 if nothing would change."""
    identity = known_form(feedback_id)
    value = parse(body)
    change = validated(CHANGE, [value], False, FEEDBACK_RULES, "a change must be an object")[0]
    event: dict[str, object] = {"event": "update", "workspace": call.workspace, "feedback_id": str(identity)}
    if (score := change.get("value")) is not None:
        event["value"] = score
    if (weight := change.get("weight")) is not None:
        event["weight"] = rounded(weight)
    if change.get("metadata") is not None:
        metadata = metadata_object(change["metadata"])
        event["metadata"] = orjson.Fragment(metadata_json(metadata, limits))
        event |= specials_of(metadata)
    if len(event) == 3:
        raise RefusedError("nothing to change: send at least one of value, weight and metadata")
    event["updated_at"] = rfc3339(call.now_ms)
    return _later(identity, event, call)


def delete(feedback_id: str, call: Call) -> Accepted:
    """The event of a DELETE. RefusedError 404 for an id that was never given here."""
    identity = known_form(feedback_id)
    return _later(
        identity,
        {
            "event": "delete",
            "workspace": call.workspace,
            "feedback_id": str(identity),
            "deleted_at": rfc3339(call.now_ms),
        },
        call,
    )


def known_form(feedback_id: str) -> UUID:
    """The id, if it has the form of those given here; whether it was ever given is the workers' to find."""
    if _UUID.fullmatch(feedback_id):
        identity = UUID(feedback_id)
        if identity.version == 8 and identity.variant == RFC_4122:
            return identity
        why = "ids of feedback are UUIDs of version 8, as the create call answers them"
    else:
        why = _MISSING_ID.get(feedback_id, "pass the id that the create call answered with")
    raise RefusedError(f"there is no feedback with the id {shown(feedback_id)}: {why}", "feedback_id", 404)


def rounded(weight: float) -> float:
    """The weight to nine decimals, without a negative zero."""
    return round(weight, 9) + 0.0


def _created(
    item: FeedbackIn, trace_id: str, feedback_id: str, created_at: str, workspace: str, limits: Limits
) -> bytes:
    weight = item.get("weight")
    metadata = metadata_object(item.get("metadata"))
    specials = specials_of(metadata)
    return orjson.dumps(
        {
            "event": "create",
            "workspace": workspace,
            "feedback_id": feedback_id,
            "trace_id": trace_id,
            "value": item["value"],
            "weight": 1.0 if weight is None else rounded(weight),
            "metadata": orjson.Fragment(metadata_json(metadata, limits)),
            **specials,
            "home_environment": home_environment(specials.get("_environment"), limits),
            "created_at": created_at,
        }
    )


def _said(item: FeedbackIn, fallback: str | None) -> list[object]:
    """What a valid item says, however it is written."""
    weight = item.get("weight")
    return [
        item.get("trace_id") or fallback,
        item["value"],
        1.0 if weight is None else rounded(weight),
        metadata_object(item.get("metadata")),
    ]


def _under(claim: Claim, record: Record) -> Record:
    """The record of an event that came under an idempotency key."""
    told = orjson.dumps({"idempotency_key": claim.key, "idempotency_digest": claim.digest})
    return record._replace(value=record.value[:-1] + b"," + told[1:])


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str | None:
    key = text_of(headers, b"idempotency-key")
    if key is not None and len(key) > MAX_IDEMPOTENCY_KEY_CHARS:
        raise RefusedError(
            f"Idempotency-Key must have at most {MAX_IDEMPOTENCY_KEY_CHARS} characters, got {len(key)}",
            "Idempotency-Key",
        )
    return key


def _later(identity: UUID, event: dict[str, object], call: Call) -> Accepted:
    feedback_id = str(identity)
    record = Record(FEEDBACK_EVENTS, trace_hash_of(identity), feedback_id.encode(), orjson.dumps(event), call.now_ms)
    return Accepted([feedback_id], [record])

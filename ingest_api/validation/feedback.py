"""Decides feedback calls: from body and headers to the events to publish.

Pure, except for the randomness of new ids; the time is given. Promises that a call is wholly valid, or refused with the
field at fault, so that nothing of a refused call can be published.
"""

from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from ingest_api.access.idempotency import Claim, digest, key_in
from ingest_api.records import Accepted, EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback_item import FeedbackItem, rounded
from ingest_api.validation.fields import home_environment, metadata_json, metadata_object, specials_of, validated
from ingest_api.validation.json_limits import parse, shown
from ingest_api.validation.models import CHANGE, FEEDBACK_RULES
from ingest_api.validation.strict_parser import read_feedback
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from runtime.trace_headers import TRACE_ID, text_of
from schemas.ids import id_in, idempotent_id, is_ours, new_ids, trace_hash_of, trace_key
from schemas.murmur2 import murmur2_all
from schemas.topics import FEEDBACK_EVENTS

# The ids that SDKs put into the path when their caller has left out the id or misspelt its parameter.
_MISSING_ID = {
    "undefined": "the JavaScript client was given no id: its parameter is `feedbackID`, with a capital ID",
    "NOT_GIVEN": "the Python client was given no id: pass `feedback_id=…`",
    "None": "the client was given no id: pass the id that the create call answered with",
    "null": "the client was given no id: pass the id that the create call answered with",
}


class _Created(msgspec.Struct, gc=False, omit_defaults=True, tag_field="event", tag="create"):
    """The event, as `schemas.events.FeedbackCreated` describes it."""

    workspace: str
    feedback_id: str
    trace_id: str
    value: int
    weight: float
    metadata: dict[str, Any]
    home_environment: str
    created_at: str
    idempotency_key: str | None = None
    idempotency_digest: str | None = None
    replaces: bool = False
    _user: str | None = None
    _organisation: str | None = None
    _prompt: str | None = None
    _environment: str | None = None


_ENCODER = msgspec.json.Encoder()


class CallContext(NamedTuple):
    """The workspace and the time of a call; `now_ms` is in Unix milliseconds."""

    workspace: str
    now_ms: int


def create(body: bytes, headers: Mapping[bytes, bytes], call: CallContext, limits: BodyLimits) -> Accepted:
    """The events of a POST; ApiError if any of its items is at fault."""
    feedback = read_feedback(body, text_of(headers, TRACE_ID), limits)
    keys = [trace_key(call.workspace, each.trace_id) for each in feedback]
    hashes = murmur2_all(keys)
    claim = _claim(headers, feedback, call.workspace)
    if claim is None:
        ids = new_ids(hashes, call.now_ms)
    else:
        ids = [str(idempotent_id(each, call.workspace, claim.key, position)) for position, each in enumerate(hashes)]
    records = created_records(feedback, ids, keys, hashes, call, limits, claim)
    return Accepted(ids, records, claim=claim)


def created_records(
    feedback: Sequence[FeedbackItem],
    ids: Sequence[str],
    keys: Sequence[bytes],
    hashes: Sequence[int],
    call: CallContext,
    limits: BodyLimits,
    claim: Claim | None = None,
) -> list[EventRecord]:
    """The events of new feedback, each with its id, its trace key and the hash of that."""
    created_at = rfc3339(call.now_ms)
    key, call_digest = (None, None) if claim is None else (claim.key, claim.digest)
    events = [
        _ENCODER.encode(
            _Created(
                call.workspace,
                feedback_id,
                each.trace_id,
                each.value,
                each.weight,
                each.metadata,
                home_environment(each.specials.get("_environment"), limits),
                created_at,
                key,
                call_digest,
                False,
                **each.specials,
            )
        )
        for each, feedback_id in zip(feedback, ids, strict=True)
    ]
    return list(map(EventRecord, repeat(FEEDBACK_EVENTS), hashes, keys, events, repeat(call.now_ms)))


def created_event(item: FeedbackItem, feedback_id: str, call: CallContext, limits: BodyLimits, replaces: bool) -> bytes:
    """One create event as JSON, without an idempotency key."""
    created = _Created(
        call.workspace,
        feedback_id,
        item.trace_id,
        item.value,
        item.weight,
        item.metadata,
        home_environment(item.specials.get("_environment"), limits),
        rfc3339(call.now_ms),
        replaces=replaces,
        **item.specials,
    )
    return _ENCODER.encode(created)


def update(feedback_id: str, body: bytes, call: CallContext, limits: BodyLimits) -> Accepted:
    """The event of a PUT. ApiError 404 for an id that this API cannot have made, 400 if nothing would change."""
    identity = feedback_id_of(feedback_id)
    value = parse(body)
    change = validated(CHANGE, [value], False, FEEDBACK_RULES, "a change must be an object")[0]
    event: dict[str, object] = {"event": "update", "workspace": call.workspace, "feedback_id": str(identity)}
    if (score := change.get("value")) is not None:
        event["value"] = score
    if (weight := change.get("weight")) is not None:
        event["weight"] = rounded(weight)
    if change.get("metadata") is not None:
        metadata = metadata_object(change["metadata"])
        event["metadata"] = msgspec.Raw(metadata_json(metadata, limits))
        event |= specials_of(metadata)
    if len(event) == 3:
        raise ApiError("nothing to change: send at least one of value, weight and metadata")
    event["updated_at"] = rfc3339(call.now_ms)
    return _change_event(identity, event, call)


def delete(feedback_id: str, call: CallContext) -> Accepted:
    """The event of a DELETE. ApiError 404 for an id that this API cannot have made."""
    identity = feedback_id_of(feedback_id)
    return _change_event(
        identity,
        {
            "event": "delete",
            "workspace": call.workspace,
            "feedback_id": str(identity),
            "deleted_at": rfc3339(call.now_ms),
        },
        call,
    )


def feedback_id_of(feedback_id: str) -> UUID:
    """The id, if it has the form of the ids made here; whether it exists is decided by the workers."""
    if identity := id_in(feedback_id):
        if is_ours(identity):
            return identity
        why = "ids of feedback are UUIDs of version 8, as the create call answers them"
    else:
        why = _MISSING_ID.get(feedback_id, "pass the id that the create call answered with")
    raise ApiError(f"there is no feedback with the id {shown(feedback_id)}: {why}", "feedback_id", 404)


def _claim(headers: Mapping[bytes, bytes], feedback: Sequence[FeedbackItem], workspace: str) -> Claim | None:
    """The claim of the call's idempotency key, if the call has one."""
    key = key_in(headers)
    if key is None:
        return None
    call_digest = digest([each.trace_id, each.value, each.weight, each.metadata] for each in feedback)
    return Claim(workspace, key, call_digest)


def _change_event(identity: UUID, event: dict[str, object], call: CallContext) -> Accepted:
    feedback_id = str(identity)
    record = EventRecord(
        FEEDBACK_EVENTS, trace_hash_of(identity), feedback_id.encode(), _ENCODER.encode(event), call.now_ms
    )
    return Accepted([feedback_id], [record])

"""Decides votes: from a token's claims and what the page sends to the event to publish.

Pure; the time is given. A vote is feedback whose id follows from its voter, so a later vote of the same voter takes its
place. A page may choose among the token's values and add a comment. Whatever else it sends is refused, not ignored,
where the token has decided it.
"""

from collections.abc import Mapping
from typing import Any

from ingest_api.records import Accepted, EventRecord
from ingest_api.settings import BodyLimits
from ingest_api.validation import feedback
from ingest_api.validation.feedback import CallContext, created_event
from ingest_api.validation.feedback_item import FeedbackItem, feedback_of, rounded
from ingest_api.validation.fields import validate_metadata_size, validated
from ingest_api.validation.json_limits import dump, parse, shown
from ingest_api.validation.models import VOTE, VOTE_RULES
from runtime.http_errors import ApiError
from runtime.trace_headers import text_of
from schemas.ids import canonical_trace_id, trace_key, vote_id
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from schemas.vote_tokens import MOST_VOTE_NAME_CHARS, VoteClaims

VOTE_NAME = b"x-feedback-vote"
COMMENT = "comment"


def vote(
    body: bytes, headers: Mapping[bytes, bytes], claims: VoteClaims, call: CallContext, limits: BodyLimits
) -> Accepted:
    """The event of a vote. ApiError 403 for what the token does not allow, 400 for what is not valid at all."""
    sent = validated(VOTE, [parse(body)], False, VOTE_RULES, "a vote must be an object with value")[0]
    item = _item(sent, claims, limits)
    trace_hash, feedback_id = _place(headers, claims, call)
    event = created_event(item, feedback_id, call, limits, replaces=True)
    key = trace_key(call.workspace, item.trace_id)
    return Accepted([feedback_id], [EventRecord(FEEDBACK_EVENTS, trace_hash, key, event, call.now_ms)])


def undo(headers: Mapping[bytes, bytes], claims: VoteClaims, call: CallContext) -> Accepted:
    """The event that takes a vote back. The voter may vote again."""
    return feedback.delete(_place(headers, claims, call)[1], call)


def _item(sent: Mapping[str, Any], claims: VoteClaims, limits: BodyLimits) -> FeedbackItem:
    if sent["value"] not in claims.values:
        allowed = ", ".join(map(str, claims.values))
        raise _beyond_token(
            f"value must be one of those that the token allows, {allowed}, got {sent['value']}", "value"
        )
    # Compared as they are stored, in which an id may have lost its capitals and a weight its last decimals.
    for name, stored in (("trace_id", canonical_trace_id), ("weight", rounded)):
        given, fixed = sent.get(name), getattr(claims, name)
        if given is not None and stored(given) != stored(fixed):
            raise _beyond_token(f"{name} is {shown(fixed)} in the token, got {shown(given)}: leave it out", name)
    if sent.get("metadata"):
        raise _beyond_token("metadata is fixed by the token: leave it out, and send words as comment", "metadata")
    comment = sent.get(COMMENT)
    # Whoever made the token in a process of its own may have put in what cannot be stored.
    fixed = parse(dump(claims.metadata), "the token's metadata", "metadata")
    metadata = {**fixed, **({COMMENT: comment} if comment else {})}
    validate_metadata_size(metadata, limits)
    return feedback_of(claims.trace_id, sent["value"], claims.weight, metadata, limits)


def _place(headers: Mapping[bytes, bytes], claims: VoteClaims, call: CallContext) -> tuple[int, str]:
    """The hash of the trace, and the id of the vote."""
    name = text_of(headers, VOTE_NAME) or ""
    field = VOTE_NAME.decode()
    if len(name) > MOST_VOTE_NAME_CHARS:
        raise ApiError(f"{field} must have at most {MOST_VOTE_NAME_CHARS} characters, got {len(name)}", field)
    if claims.votes == "one" and name:
        raise _beyond_token(f"the token allows one vote: leave out {field}, which names one of many", field)
    if claims.votes == "many" and not name:
        raise ApiError(f"{field} is required, because the token allows many votes: give each vote a name", field)
    trace_id = canonical_trace_id(claims.trace_id)
    trace_hash = murmur2(trace_key(call.workspace, trace_id))
    return trace_hash, str(vote_id(trace_hash, call.workspace, trace_id, claims.voter, name))


def _beyond_token(message: str, param: str) -> ApiError:
    return ApiError(message, param, 403)

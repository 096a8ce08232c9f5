"""Reads the body of a call that asks for a vote token into the claims of the token. Pure; time and chance are given."""

from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback_item import rounded
from ingest_api.validation.fields import (
    checked_trace_id,
    metadata_object,
    special_text,
    validate_metadata_size,
    validate_specials,
    validated,
)
from ingest_api.validation.json_limits import parse
from ingest_api.validation.models import TOKEN, TOKEN_RULES
from runtime.http_errors import ApiError
from schemas.vote_tokens import VoteClaims

DEFAULT_S = 86_400
THUMBS = (0, 1)
_USER = "_user"


def claims_asked_for(body: bytes, now_s: int, nonce: str, limits: BodyLimits) -> VoteClaims:
    """The claims of the token; ApiError for the field at fault. `nonce` is the voter where nobody is named."""
    asked = validated(TOKEN, [parse(body)], False, TOKEN_RULES, "a token is asked for by an object with trace_id")[0]
    trace_id = asked.get("trace_id")
    if not trace_id:
        raise ApiError("trace_id is required", "trace_id")
    trace_id = checked_trace_id(trace_id, "trace_id", limits)
    metadata = metadata_object(asked.get("metadata"))
    validate_metadata_size(metadata, limits)
    validate_specials(metadata)
    weight = asked.get("weight")
    return VoteClaims(
        trace_id=trace_id,
        expires_at=now_s + (asked.get("expires_in") or DEFAULT_S),
        values=tuple(dict.fromkeys(asked.get("values") or THUMBS)),
        weight=1.0 if weight is None else rounded(weight),
        votes=asked.get("votes") or "one",
        voter=asked.get("voter") or special_text(metadata.get(_USER), f"metadata.{_USER}") or nonce,
        metadata=metadata,
    )

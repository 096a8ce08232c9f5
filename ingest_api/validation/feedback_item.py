"""One valid feedback, as both parsers of feedback calls make it."""

from functools import lru_cache
from typing import Any

import msgspec

from ingest_api.settings import BodyLimits
from ingest_api.validation.fields import checked_trace_id, specials_of
from runtime.http_errors import ApiError
from schemas.limits import WEIGHT_DECIMALS


class FeedbackItem(msgspec.Struct, gc=False):
    """The content of a feedback; `specials` are the special fields in its metadata."""

    trace_id: str
    value: int
    weight: float
    metadata: dict[str, Any]
    specials: dict[str, str]


def feedback_of(
    trace_id: str | None, value: int, weight: float | None, metadata: dict[str, Any] | None, limits: BodyLimits
) -> FeedbackItem:
    """The feedback with its defaults; ApiError without a trace id, or if it or a special field is at fault."""
    if not trace_id:
        raise ApiError("trace_id is required", "trace_id")
    trace_id = checked_trace_id(trace_id, "trace_id", limits)
    if not metadata:
        return FeedbackItem(trace_id, value, 1.0 if weight is None else rounded(weight), {}, {})
    return FeedbackItem(trace_id, value, 1.0 if weight is None else rounded(weight), metadata, specials_of(metadata))


@lru_cache(maxsize=1024)
def rounded(weight: float) -> float:
    """The weight to nine decimals, without a negative zero."""
    return round(weight, WEIGHT_DECIMALS) + 0.0

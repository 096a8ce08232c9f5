"""One valid feedback, as both readers of feedback calls make it: `plain_feedback` and `feedback_reader`."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from ingest_api.errors import RefusedError
from ingest_api.fields import checked_trace_id, metadata_json, specials_of
from ingest_api.json_text import dump
from ingest_api.settings import Limits


class Feedback(NamedTuple):
    """What a feedback says. `metadata_json` is its metadata as compact JSON, `specials` the special fields in it."""

    trace_id: str
    value: int
    weight: float
    metadata: dict[str, Any]
    metadata_json: bytes
    specials: dict[str, str]


def feedback_of(
    trace_id: str | None,
    value: int,
    weight: float | None,
    metadata: dict[str, Any] | None,
    limits: Limits,
    dumps: Callable[[Any], bytes] = dump,
) -> Feedback:
    """The feedback with its defaults; RefusedError without a trace id or past a limit. `dumps` writes metadata."""
    if not trace_id:
        raise RefusedError("trace_id is required", "trace_id")
    metadata = metadata or {}
    return Feedback(
        checked_trace_id(trace_id, "trace_id", limits),
        value,
        1.0 if weight is None else rounded(weight),
        metadata,
        metadata_json(metadata, limits, dumps),
        specials_of(metadata),
    )


@lru_cache(maxsize=1024)
def rounded(weight: float) -> float:
    """The weight to nine decimals, without a negative zero."""
    return round(weight, 9) + 0.0

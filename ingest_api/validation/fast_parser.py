"""The fast parser of feedback calls, in C, for the form that nearly every call has.

Promises to read a body to what `strict_parser` would read it to, or not at all. None only means that the body is not
plain; then the strict parser reads it and words the refusal. A plain body has only known keys, each once, with value
and weight as JSON numbers, and holds no NUL, no huge number and no deep nesting.

What it buys: a feedback of a bulk call is read in 2.7 µs instead of 4.9, of about 5 that the edge takes to make its
event; a single one in 5.3 µs instead of 8.3, of 15.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback_item import FeedbackItem, feedback_of
from ingest_api.validation.json_limits import (
    MAX_CONTAINERS,
    MAX_DEPTH,
    colon_count,
    container_count,
    escape_count,
    is_deeper_than,
    may_hold_a_huge_number,
)
from runtime.http_errors import ApiError
from schemas.limits import HIGHEST_VALUE, HIGHEST_WEIGHT, LOWEST_VALUE, LOWEST_WEIGHT


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    value: Annotated[int, Meta(ge=LOWEST_VALUE, le=HIGHEST_VALUE)]
    trace_id: str | UnsetType | None = UNSET
    weight: Annotated[float, Meta(ge=LOWEST_WEIGHT, le=HIGHEST_WEIGHT)] | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    traceID: str | UnsetType | None = UNSET  # noqa: N815
    traceId: str | UnsetType | None = UNSET  # noqa: N815
    trace_dash_id: str | UnsetType | None = msgspec.field(default=UNSET, name="trace-id")


_DECODER = msgspec.json.Decoder(list[_Item] | _Item)
_ENCODER = msgspec.json.Encoder()


def read_plain(body: bytes, fallback: str | None, limits: BodyLimits) -> list[FeedbackItem] | None:
    """The feedback of a POST, or None if the body is not plain. `fallback` is the trace id of items without one."""
    # An unescaped NUL is not JSON.
    if escape_count(body, b"u0000") or container_count(body) > MAX_CONTAINERS:
        return None
    if may_hold_a_huge_number(body):
        return None
    try:
        found = _DECODER.decode(body)
        items = found if isinstance(found, list) else [found]
        encoded = _ENCODER.encode(found)
        if not 0 < len(items) <= limits.bulk or colon_count(body) != encoded.count(b":"):
            return None
        if not _plain_metadata(body, items, len(encoded), limits):
            return None
        return [
            feedback_of(
                _trace_id(item) or fallback,
                item.value,
                None if item.weight is UNSET else item.weight,
                item.metadata or None,
                limits,
            )
            for item in items
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ApiError):
        return None


def _trace_id(item: _Item) -> str | None:
    """The trace id under the first of its names that is present."""
    if item.trace_id is not UNSET:
        return item.trace_id
    for trace_id in (item.traceID, item.traceId, item.trace_dash_id):
        if trace_id is not UNSET:
            return trace_id
    return None


def _plain_metadata(body: bytes, items: list[_Item], size: int, limits: BodyLimits) -> bool:
    """Whether all metadata is small and flat enough; `size` is that of all items as JSON."""
    given = [item.metadata for item in items if item.metadata]
    if size > limits.metadata_bytes and any(len(_ENCODER.encode(each)) > limits.metadata_bytes for each in given):
        return False
    # Every item and every other metadata opens at least one container, which bounds the depth of a single one.
    deepest = container_count(body) - len(items) - len(given)
    return deepest <= MAX_DEPTH - 2 or not is_deeper_than(given, MAX_DEPTH - 1)

"""The shape that nearly every feedback call has, read in C.

Promises that a body is read here to what `feedback_reader` would read it to, or not at all: None says nothing but that
the body is not of the plain shape, and then that reader judges it and words the refusal. Plain is a body whose keys
are all known, whose value and weight are JSON numbers, and which holds nothing that needs a second look: no NUL, no
integer beyond 64 bits, no deep nesting.
"""

import re
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import UNSET, Meta, UnsetType

from ingest_api.errors import RefusedError
from ingest_api.feedback_item import Feedback, feedback_of
from ingest_api.json_text import MAX_DEPTH, deeper_than
from ingest_api.settings import Limits


class _Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    value: Annotated[int, Meta(ge=-10, le=10)]
    trace_id: str | UnsetType | None = UNSET
    weight: Annotated[float, Meta(ge=0, le=1)] | None = None
    metadata: dict[str, Any] | None = None
    traceID: str | UnsetType | None = UNSET  # noqa: N815
    traceId: str | UnsetType | None = UNSET  # noqa: N815
    trace_dash_id: str | UnsetType | None = msgspec.field(default=UNSET, name="trace-id")


# Beyond what a float holds, and so refused by the rules, even where a later key of the same name overrules it.
_MOST_DIGITS = 308
_HUGE_NUMBER = re.compile(rb"\d{%d}" % (_MOST_DIGITS + 1))
# The rules' parser refuses 1,024 levels, be they in what is overruled.
_MOST_OPENED = 1000
_DECODER = msgspec.json.Decoder(list[_Item] | _Item)


def read_plain(body: bytes, fallback: str | None, limits: Limits) -> list[Feedback] | None:
    """The feedback of a POST; None if it is not plain. `fallback` is the trace id where an item has none."""
    # How a NUL may be escaped; a bare one is no JSON.
    if b"u0000" in body or (len(body) > _MOST_DIGITS and _HUGE_NUMBER.search(body)):
        return None
    try:
        found = _DECODER.decode(body)
        items = found if isinstance(found, list) else [found]
        if not 0 < len(items) <= limits.bulk or not _plain_metadata(body, items, limits):
            return None
        return [
            feedback_of(_trace_id(item) or fallback, item.value, item.weight, item.metadata, limits) for item in items
        ]
    except (msgspec.MsgspecError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError, RefusedError):
        return None


def _trace_id(item: _Item) -> str | None:
    """The trace id by the first of its names that is there."""
    if item.trace_id is not UNSET:
        return item.trace_id
    for trace_id in (item.traceID, item.traceId, item.trace_dash_id):
        if trace_id is not UNSET:
            return trace_id
    return None


def _plain_metadata(body: bytes, items: list[_Item], limits: Limits) -> bool:
    """Whether all metadata is small, flat enough, and without integers beyond 64 bits."""
    given = [item.metadata for item in items if item.metadata]
    try:
        size = len(orjson.dumps(given))
    except TypeError:
        return False
    if size > limits.metadata_bytes and any(len(orjson.dumps(each)) > limits.metadata_bytes for each in given):
        return False
    opened = body.count(b"{") + body.count(b"[")
    # Each item and each metadata of another opens one, which bounds what a single one can hold.
    deepest = opened - len(items) - len(given)
    if deepest <= MAX_DEPTH - 2:
        return True
    if deepest >= _MOST_OPENED:
        orjson.loads(body)
    return not deeper_than(given, MAX_DEPTH - 1)

"""Reads the trace, the span and the metadata of a call from its headers, as the edge does for a request log. Pure.

Nothing here is refused, because the call goes on in any case: a trace id that cannot be one is replaced, and metadata
that cannot be stored is kept as the beginning of its text.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from feedback_client.items import ARGUMENTS, checked_metadata
from feedback_client.trace import incoming_trace_id
from runtime import trace_headers as sent

UNREADABLE = sent.METADATA.decode()
"""The key under which metadata is kept that could not be read."""

_MOST_UNREADABLE_CHARS = 1_000


@dataclass(frozen=True)
class CallTrace:
    """What a call belongs to."""

    trace_id: str
    span: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)


def trace_of(headers: Mapping[bytes, bytes]) -> CallTrace:
    """The trace of a call with these headers, a new one where they name none."""
    if sent.METADATA not in headers and b"baggage" not in headers:
        metadata: dict[str, Any] = {}
    else:
        metadata = _metadata(headers)
    named = {argument: metadata.pop(name) for name, argument in _NAMES if metadata.get(name)}
    parent = sent.traceparent(headers)
    own = str(named.get("trace_id", "")).encode(errors="replace") or headers.get(sent.TRACE_ID, b"")
    span = {
        "span_id": named.get("span_id") or sent.text_of(headers, sent.SPAN_ID),
        "parent_span_id": named.get("parent_span_id")
        or sent.text_of(headers, sent.PARENT_SPAN_ID)
        or (parent[1] if parent else None),
        "span_name": named.get("span_name") or sent.text_of(headers, sent.SPAN_NAME),
    }
    return CallTrace(
        incoming_trace_id(own, headers.get(b"traceparent", b"")),
        {name: text for name, value in span.items() if value and (text := _text(value))},
        {name: value for name, value in metadata.items() if name not in ARGUMENTS},
    )


# The first name that is given counts, so it is read last.
_NAMES = tuple(reversed(ARGUMENTS.items()))


def _metadata(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Metadata from `baggage` and, over it, `x-portkey-metadata`."""
    text = sent.text_of(headers, sent.METADATA)
    try:
        own = json.loads(text or "{}")
        return checked_metadata({**sent.baggage(headers), **own})
    except (ValueError, TypeError, RecursionError):
        return {UNREADABLE: _text(text)[:_MOST_UNREADABLE_CHARS]} if text else {}


def _text(value: object) -> str:
    """A text that can be stored."""
    return str(value).encode(errors="replace").decode().replace("\0", "\ufffd")

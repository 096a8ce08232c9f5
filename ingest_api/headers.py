"""Reads a trace, spans and metadata from request headers: Portkey's headers and the two of the W3C. Pure.

The body always wins over `x-portkey-*`, and those over `traceparent` and `baggage`. Malformed W3C headers are ignored,
as their specifications ask.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from ingest_api.validation.fields import metadata_object

TRACE_ID = b"x-portkey-trace-id"
SPAN_ID = b"x-portkey-span-id"
PARENT_SPAN_ID = b"x-portkey-parent-span-id"
SPAN_NAME = b"x-portkey-span-name"
METADATA = b"x-portkey-metadata"

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


def text_of(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    """The text of a header; None if it is missing or empty."""
    value = headers.get(name)
    if not value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def traceparent(headers: Mapping[bytes, bytes]) -> tuple[str, str] | None:
    """Trace id and parent span id of a valid W3C `traceparent`."""
    match = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return (match[1].decode(), match[2].decode()) if match else None


def header_metadata(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Metadata from `baggage` and, over it, `x-portkey-metadata`; ApiError if the latter holds no object."""
    metadata: dict[str, Any] = dict(_baggage(text_of(headers, b"baggage") or ""))
    text = text_of(headers, METADATA)
    if text is not None:
        metadata |= metadata_object(text, METADATA.decode())
    return metadata


def _baggage(text: str) -> list[tuple[str, str]]:
    members = []
    for member in text.split(","):
        name, equals, value = member.split(";", 1)[0].partition("=")
        value = unquote(value.strip())
        # A percent-encoded NUL cannot be stored, and no field of the caller could be named in a refusal.
        if equals and name.strip() and "\0" not in value:
            members.append((name.strip(), value))
    return members

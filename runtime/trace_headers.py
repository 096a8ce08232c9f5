"""The trace, spans and baggage in request headers: those of Portkey and the two of the W3C. Pure.

Malformed W3C headers are ignored, as their specifications ask.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

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


def baggage(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """The members of a W3C `baggage`, without their properties."""
    members = {}
    for member in (text_of(headers, b"baggage") or "").split(","):
        name, equals, value = member.split(";", 1)[0].partition("=")
        value = unquote(value.strip())
        # A percent-encoded NUL cannot be stored, and no field of the caller could be named in a refusal.
        if equals and name.strip() and "\0" not in value:
            members[name.strip()] = value
    return members

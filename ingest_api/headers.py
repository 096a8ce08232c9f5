"""The metadata of a call that stands in its headers. Pure.

The body always wins over `x-portkey-*`, and those over `traceparent` and `baggage`.
"""

from collections.abc import Mapping
from typing import Any

from ingest_api.validation.fields import metadata_object
from runtime.trace_headers import METADATA, baggage, text_of


def header_metadata(headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Metadata from `baggage` and, over it, `x-portkey-metadata`; ApiError if the latter holds no object."""
    metadata: dict[str, Any] = dict(baggage(headers))
    text = text_of(headers, METADATA)
    if text is not None:
        metadata |= metadata_object(text, METADATA.decode())
    return metadata

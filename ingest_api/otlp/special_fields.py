"""Attributes as metadata, with the special fields under their own names. Pure."""

from typing import Any

from ingest_api.otlp.attribute_names import SPECIALS
from ingest_api.otlp.message_parts import value_in_text
from ingest_api.otlp.telemetry_data import Attributes

_METADATA = "metadata"


def metadata_of(attributes: Attributes) -> Attributes:
    """The attributes as metadata. They must be the caller's own: they may be changed."""
    if _METADATA in attributes and isinstance(inner := value_in_text(attributes[_METADATA]), dict):
        # OpenInference has what an app adds as the JSON of an object.
        del attributes[_METADATA]
        attributes = inner | attributes
    for special, names in SPECIALS.items():
        if special not in attributes:
            for name in names:
                if name in attributes and _is_plain(attributes[name]):
                    attributes[special] = attributes.pop(name)
                    break
    return attributes


def _is_plain(value: Any) -> bool:
    return value not in (None, "") and not isinstance(value, dict | list)

"""Attributes as metadata: without secrets, and with the special fields under their own names. Pure."""

from typing import Any

from ingest_api.otlp.attribute_names import SPECIALS
from ingest_api.otlp.attribute_secrets import attributes_without_secrets
from ingest_api.otlp.message_parts import value_in_text
from ingest_api.otlp.telemetry_data import Attributes
from runtime.harmless_names import HarmlessNames

_METADATA = "metadata"


def metadata_of(attributes: Attributes, harmless: HarmlessNames) -> Attributes:
    """The attributes as metadata."""
    # OpenInference has what an app adds as the JSON of an object.
    inner = value_in_text(attributes.get(_METADATA))
    if isinstance(inner, dict):
        attributes = {name: value for name, value in attributes.items() if name != _METADATA}
    attributes = attributes_without_secrets(attributes, harmless)
    if isinstance(inner, dict):
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

"""Attributes in protobuf, as names and values.

`attribute` reads the bytes of one: by hand where they have the form that nearly all have, and through protobuf where
they have any other. Programs send the same attributes again and again, so short ones are remembered. Nobody may change
a value that is read here.
"""

import base64
from functools import lru_cache
from struct import Struct
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from ingest_api.otlp.telemetry_data import Attributes

Attribute = tuple[str, Any]

# The first bytes of fields: their number and type on the wire.
_KEY, _VALUE = 0x0A, 0x12
_TEXT, _BOOLEAN, _INTEGER, _DOUBLE = 0x0A, 0x10, 0x18, 0x21
_ONE_BYTE = 0x80
"""From here on, a length or an integer takes more than one byte."""
_MOST_REMEMBERED, _MOST_REMEMBERED_BYTES = 8192, 100

_double = Struct("<d").unpack_from


def attribute(raw: bytes) -> Attribute:
    """Name and value of an attribute. DecodeError or UnicodeDecodeError if it is none."""
    return _remembered(raw) if len(raw) <= _MOST_REMEMBERED_BYTES else _read(raw)


def _read(raw: bytes) -> Attribute:
    if len(raw) < 6 or raw[0] != _KEY or raw[1] >= _ONE_BYTE:
        return _read_any(raw)
    end = 2 + raw[1]
    if len(raw) < end + 4 or raw[end] != _VALUE or raw[end + 1] >= _ONE_BYTE or raw[end + 1] != len(raw) - end - 2:
        return _read_any(raw)
    kind, at = raw[end + 2], end + 3
    if kind == _TEXT and raw[at] < _ONE_BYTE and raw[at] == len(raw) - at - 1:
        return raw[2:end].decode(), raw[at + 1 :].decode()
    if kind == _INTEGER and len(raw) == at + 1 and raw[at] < _ONE_BYTE:
        return raw[2:end].decode(), raw[at]
    if kind == _INTEGER and len(raw) == at + 2 and raw[at] >= _ONE_BYTE > raw[at + 1]:
        return raw[2:end].decode(), raw[at] & 0x7F | raw[at + 1] << 7
    if kind == _DOUBLE and len(raw) == at + 8:
        return raw[2:end].decode(), plain(_double(raw, at)[0])
    if kind == _BOOLEAN and len(raw) == at + 1 and raw[at] <= 1:
        return raw[2:end].decode(), raw[at] == 1
    return _read_any(raw)


_remembered = lru_cache(_MOST_REMEMBERED)(_read)


def _read_any(raw: bytes) -> Attribute:
    found = KeyValue.FromString(raw)
    return found.key, value_of(found.value)


def attributes_of(pairs: Any) -> Attributes:
    """The attributes in `KeyValue` messages."""
    return {each.key: value_of(each.value) for each in pairs}


def value_of(value: Any) -> Any:
    """The value in an `AnyValue` message, as JSON can tell it; None if it has none, or one of an unknown kind."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return attributes_of(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value":
        return plain(value.double_value)
    return None if kind is None else getattr(value, kind, None)


def plain(number: float) -> float | str:
    """The number, or the name that protobuf's JSON has for what is none in JSON."""
    if number - number == 0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"

"""Attributes that are read by hand are what protobuf reads, and nothing that it refuses is taken."""

from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from ingest_api.otlp.protobuf_attributes import attribute, value_of
from tests.unit.ingest_api.otlp_edge import any_value

PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text() | st.binary()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
TAGS = st.sampled_from([b"\x0a", b"\x12", b"\x10", b"\x18", b"\x21", b"\x80", b"\x01", b"\x02", b"\x00", b"a", b"\xff"])


def oracle(raw: bytes) -> Any:
    try:
        found = KeyValue.FromString(raw)
    except DecodeError:
        return "refused"
    return found.key, value_of(found.value)


def read(raw: bytes) -> Any:
    try:
        return attribute(raw)
    except (DecodeError, UnicodeDecodeError):
        return "refused"


@given(st.text(max_size=140), VALUES)
def test_every_attribute_is_read_as_protobuf_reads_it(name: str, value: Any) -> None:
    raw = KeyValue(key=name, value=any_value(value)).SerializeToString()
    assert repr(read(raw)) == repr(oracle(raw))


@given(st.lists(TAGS | st.binary(max_size=3), max_size=14).map(b"".join))
def test_bytes_of_any_kind_are_read_or_refused_as_by_protobuf(raw: bytes) -> None:
    assert repr(read(raw)) == repr(oracle(raw))


@given(st.text(max_size=5), PLAIN, st.integers(0, 20), st.binary(max_size=2))
def test_a_damaged_attribute_is_read_or_refused_as_by_protobuf(name: str, value: Any, at: int, instead: bytes) -> None:
    raw = KeyValue(key=name, value=any_value(value)).SerializeToString()
    damaged = raw[:at] + instead + raw[at + 1 :]
    assert repr(read(damaged)) == repr(oracle(damaged))

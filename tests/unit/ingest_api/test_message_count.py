"""A body in protobuf holds no more messages than may be read, wherever they are and however they are written."""

import random
from time import thread_time
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest_api.otlp import message_count
from ingest_api.otlp.message_count import check_messages, fields_of
from ingest_api.otlp.telemetry_data import UnreadableError
from runtime.http_errors import ApiError
from tests.unit.ingest_api.otlp_edge import CALL, SPAN, TRACE, OtlpEdge, export, span

FIELDS = fields_of(ExportTraceServiceRequest)
# Where messages may stand, each as the tags from the outermost on, and what stands before them.
PLACES = {
    "resources": (), "scopes": (0x0A,), "spans": (0x0A, 0x12), "attributes of a resource": (0x0A, 0x0A),
    "events": (0x0A, 0x12, 0x12), "values of an array": (0x0A, 0x12, 0x12, 0x4A, 0x12, 0x2A),
}  # fmt: skip
INNERMOST = {"events": 0x5A, "scopes": 0x12, "spans": 0x12}


def within(tag: int, inner: bytes) -> bytes:
    size, written = len(inner), bytearray([tag])
    while size >= 0x80:
        written.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*written, size]) + inner


def empty_messages(place: str, number: int, tag: bytes = b"") -> bytes:
    body = (tag or bytes([INNERMOST.get(place, 0x0A)])) + b"\0"
    body *= number
    for outer in reversed(PLACES[place]):
        body = within(outer, body)
    return body


def messages_in(message: Any) -> int:
    """As protobuf has read it."""
    count = 0
    for field, held in message.ListFields():
        if field.message_type is not None:
            for each in held if hasattr(held, "__len__") else [held]:
                count += 1 + messages_in(each)
    return count


@pytest.mark.parametrize("place", PLACES)
def test_more_than_the_most_are_refused_wherever_they_are(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_count, "MOST_MESSAGES", 1_000)
    check_messages(empty_messages(place, 900), FIELDS)
    for tag in (b"", bytes([INNERMOST.get(place, 0x0A) | 0x80, 0x80, 0])):
        with pytest.raises(ApiError, match="more than 1,000 messages") as refused:
            check_messages(empty_messages(place, 1_001, tag), FIELDS)
        assert refused.value.status == 413


def test_as_many_are_counted_as_protobuf_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    value: Any = {"a": [1, "b", {"c": None}], "d": 1.5, "e": True, "f": b"x" * 200, "g": -1}
    spans = [
        span(CALL | dict(chance.sample([*value.items()], chance.randint(0, 5))), [("e", value)] * chance.randint(0, 3))
        for _ in range(20)
    ]
    made = export(*spans, resource=value, scope="s")
    body, number = made.SerializeToString(), messages_in(made)
    monkeypatch.setattr(message_count, "MOST_MESSAGES", number)
    check_messages(body, FIELDS)
    monkeypatch.setattr(message_count, "MOST_MESSAGES", number - 1)
    with pytest.raises(ApiError):
        check_messages(body, FIELDS)


@pytest.mark.parametrize(
    "end", [b"\x0a", b"\x0a\x05ab", b"\x80" * 20, b"\x0a\x80", b"\x09ab", b"\x0b\x0c", b"\x08\x80", b"\x0e\0"]
)
def test_what_is_no_protobuf_is_unreadable_however_much_stands_before(
    end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_count, "MOST_MESSAGES", 100)
    with pytest.raises(UnreadableError):
        check_messages(within(0x7A, bytes(300)) + empty_messages("resources", 50) + within(0x0A, end), FIELDS)


async def test_a_small_body_that_unpacks_to_many_messages_is_refused_at_once() -> None:
    edge = OtlpEdge()
    identified = within(0x0A, TRACE) + within(0x12, SPAN)
    body = within(0x0A, within(0x12, within(0x12, identified + b"\x5a\0" * 5_000_000)))
    began = thread_time()
    for path in ("/v1/traces", "/v1/logs"):
        assert (await edge.send(path, body if path == "/v1/traces" else empty_messages("spans", 5_000_000)))[0] == 413
    assert thread_time() - began < 5

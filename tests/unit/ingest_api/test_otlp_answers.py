"""OTLP exports are answered as its specification asks, and bad ones with a reason that is counted."""

import gzip
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from ingest_api.errors import outcome_unknown
from ingest_api.otlp.rejections import Rejections
from runtime.http_errors import ApiError
from runtime.metrics import OTLP_LEFT_OUT
from schemas.api_keys import new_key
from tests.unit.ingest_api.otlp_edge import CALL, OtlpEdge, export, in_json, span

JSON, PROTOBUF = "application/json", "application/x-protobuf"
TRACES = "/v1/traces"
GOOD = export(span())
MANY_TOKENS = ("llm.token_count.prompt", "llm.token_count.completion")
Field = tuple[int, Any]


@pytest.fixture
def edge() -> OtlpEdge:
    return OtlpEdge(max_body_bytes=100_000, max_unpacked_bytes=200_000)


def status_of(body: bytes) -> tuple[int, str]:
    """Code and message of a google.rpc.Status, read off the wire."""
    assert body[0] == 0x08
    assert body[2] == 0x12
    at = 3 if body[3] < 0x80 else 4
    return body[1], body[at + 1 :].decode()


def partial(body: bytes) -> tuple[int, str]:
    told = ExportTraceServiceResponse.FromString(body).partial_success
    return told.rejected_spans, told.error_message


def left_out_counts() -> dict[str, float]:
    (family,) = OTLP_LEFT_OUT.collect()
    return {each.labels["outcome"]: each.value for each in family.samples}


async def test_success_is_an_empty_answer_in_the_encoding_of_the_export(edge: OtlpEdge) -> None:
    assert await edge.send(TRACES, GOOD.SerializeToString()) == (200, b"")
    assert edge.headers[b"content-type"] == PROTOBUF.encode()
    first = edge.events
    assert await edge.send(TRACES, in_json(GOOD), JSON) == (200, b"{}")
    assert edge.headers[b"content-type"] == JSON.encode()
    assert edge.events == first
    assert await edge.send(TRACES, b"") == (200, b""), "an export of nothing"
    assert await edge.send(TRACES, b'{"resourceSpans":[],"new":{"field":1}}', "application/json; charset=utf-8") == (
        200,
        b"{}",
    )


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "deflate", "identity"])
async def test_compressed_exports_are_read(edge: OtlpEdge, coding: str) -> None:
    body = GOOD.SerializeToString()
    packed = {"gzip": gzip.compress(body), "deflate": zlib.compress(body), "identity": body}[coding.lower()]
    assert await edge.send(TRACES, packed, content_encoding=coding) == (200, b"")
    assert len(edge.events) == 1


@pytest.mark.parametrize(
    ("attributes", "fields", "reason", "says"),
    [
        (CALL, {"trace_id": b""}, "trace_id", "trace_id must be 16 bytes that are not all zero, got 0 bytes"),
        (CALL, {"trace_id": bytes(16)}, "trace_id", "got zeros alone"),
        (CALL, {"trace_id": b"a" * 15}, "trace_id", "got 15 bytes"),
        (CALL, {"span_id": b""}, "span_id", "span_id must be 8 bytes"),
        (CALL, {"span_id": bytes(8)}, "span_id", "got zeros alone"),
        (CALL, {"start_time_unix_nano": 1}, "time", "startTimeUnixNano must be between the years 2000 and 2100"),
        (CALL, {"start_time_unix_nano": 2**64 - 1}, "time", "startTimeUnixNano must be between"),
        (CALL | {"text": "a\0b"}, {}, "nul", "NUL"),
        (CALL | {f"key-{number}": "v" for number in range(10_000)}, {}, "metadata", "at most 65536 bytes"),
        (CALL | {"user.id": "u" * 513}, {}, "metadata", "metadata._user must have at most 512 characters"),
        (CALL | dict.fromkeys(MANY_TOKENS, 2**53 - 1), {}, "tokens", "tokens must be at most"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
async def test_a_faulty_span_is_rejected_with_a_reason_and_takes_no_other_with_it(
    attributes: dict[str, Any], fields: dict[str, Any], reason: str, says: str, kind: str
) -> None:
    edge = OtlpEdge()
    message = export(span(attributes, **fields), span({"plain": 1}), span(span_id=b"12345678"))
    before = left_out_counts()
    status, body = await edge.send(TRACES, message.SerializeToString() if kind == PROTOBUF else in_json(message), kind)
    assert status == 200
    told = partial(body) if kind == PROTOBUF else tuple(json.loads(body)["partialSuccess"].values())
    assert int(told[0]) == 1
    assert says in told[1]
    assert [event["span_id"] for event in edge.events] == [b"12345678".hex()]
    after = left_out_counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        reason: 1,
        "not_kept": 1,
    }


async def test_thousands_of_attributes_within_the_limit_are_kept() -> None:
    edge = OtlpEdge(max_metadata_bytes=1_000_000)
    body = export(span(CALL | {f"key-{number}": number for number in range(10_000)})).SerializeToString()
    assert await edge.send(TRACES, body) == (200, b"")
    assert edge.events[0]["metadata"]["key-9999"] == 9999


async def test_the_last_of_two_attributes_of_one_name_counts(edge: OtlpEdge) -> None:
    twice = span(CALL | {"plan": "free"})
    twice.attributes.add(key="plan").value.string_value = "pro"
    for body, kind in ((export(twice).SerializeToString(), PROTOBUF), (in_json(export(twice)), JSON)):
        await edge.send(TRACES, body, kind)
        assert edge.events[0]["metadata"]["plan"] == "pro"


GOOD_BYTES = GOOD.SerializeToString()


@pytest.mark.parametrize(
    "body", [GOOD_BYTES[:-1], GOOD_BYTES[: len(GOOD_BYTES) // 2], b"\xff", b"{}", GOOD_BYTES.replace(b"m-1", b"m\xff1"),
             gzip.compress(GOOD_BYTES)]
)  # fmt: skip
async def test_what_is_no_protobuf_is_refused_with_a_status(edge: OtlpEdge, body: bytes) -> None:
    status, answer = await edge.send(TRACES, body)
    assert status == 400
    assert edge.headers[b"content-type"] == PROTOBUF.encode()
    assert status_of(answer) == (3, "the body is no ExportTraceServiceRequest in protobuf")
    assert edge.events == []


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is empty"),
        (b"{", "is not JSON"),
        (b"[]", "must be an object, got an array"),
        (b'{"resourceSpans":{}}', "resourceSpans must be an array, got an object"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[5]}]}]}', "spans must be an array of objects, got 5"),
        (in_json(GOOD).replace(b'"stringValue"', b'"intValue"'), "intValue must be an integer"),
        (in_json(GOOD).replace(b'"chat"', b"[1]"), "stringValue must be a plain value, got an array"),
        (in_json(GOOD)[:-1] + b',"resourceSpans":[]}', "appears twice in one object"),
    ],
)
async def test_what_is_no_export_in_json_is_refused_with_a_status(edge: OtlpEdge, body: bytes, says: str) -> None:
    status, answer = await edge.send(TRACES, body, JSON)
    assert (status, json.loads(answer)["code"]) == (400, 3)
    assert says in json.loads(answer)["message"]
    assert edge.events == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-thrift"])
async def test_another_content_type_is_refused(edge: OtlpEdge, kind: str) -> None:
    status, answer = await edge.send(TRACES, GOOD_BYTES, kind)
    assert (status, json.loads(answer)["code"]) == (400, 3)
    assert "Content-Type" in json.loads(answer)["message"]


async def test_an_export_that_is_too_large_packed_or_unpacked_is_refused(edge: OtlpEdge) -> None:
    status, answer = await edge.send(TRACES, bytes(100_001))
    assert (status, status_of(answer)[0]) == (413, 8)
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    status, answer = await edge.send(TRACES, bomb, content_encoding="gzip")
    assert status == 413
    assert status_of(answer) == (8, "the body unpacks to more than 200000 bytes: send it in parts")
    assert edge.events == []


async def test_a_large_export_is_read_whole(edge: OtlpEdge) -> None:
    spans = [span(span_id=number.to_bytes(8, "big")) for number in range(1, 1500)]
    packed = gzip.compress(export(*spans).SerializeToString())
    assert await edge.send(TRACES, packed, content_encoding="gzip") == (200, b"")
    assert len(edge.events) == 1499, "no bound of a bulk call holds here"


async def test_trouble_with_kafka_may_be_repeated_after_a_while(edge: OtlpEdge) -> None:
    async def publish(_: object) -> None:
        raise outcome_unknown("Kafka went away")

    edge.recorder.publish = publish  # type: ignore[method-assign]
    status, answer = await edge.send(TRACES, GOOD_BYTES)
    assert (status, status_of(answer)[0], edge.headers[b"retry-after"]) == (503, 14, b"1")


async def test_a_key_whose_limit_is_used_up_is_asked_to_wait() -> None:
    edge = OtlpEdge(rate_limit_per_s=1)
    assert await edge.send(TRACES, GOOD_BYTES) == (200, b"")
    status, answer = await edge.send(TRACES, GOOD_BYTES)
    assert (status, status_of(answer)[0], edge.headers[b"retry-after"]) == (429, 8, b"1")


async def test_two_keys_that_differ_are_refused_in_the_encoding_of_the_export(edge: OtlpEdge) -> None:
    one, other = (new_key("a", ["logs.write"], datetime.now(UTC))[0] for _ in range(2))
    keys = {"x_portkey_api_key": one, "authorization": f"Bearer {other}"}
    status, answer = await edge.send(TRACES, GOOD_BYTES, **keys)
    assert (status, status_of(answer)[0]) == (400, 3)


def test_the_sentence_names_a_few_faults_and_counts_the_rest() -> None:
    found = Rejections()
    for number in range(12):
        found.add(ApiError(f"fault {number % 8}", "span_id"))
    assert found.message == "fault 0 (2); fault 1 (2); fault 2 (2); fault 3 (2); fault 4 (1); and 3 more"
    assert (found.items, found.reasons) == (12, {"span_id": 12})

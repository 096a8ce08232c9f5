"""What the edge makes of request logs: every shape that handlers send, facts found, secrets left behind."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.records import Accepted
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext
from ingest_api.validation.request_log import log
from ingest_api.validation.request_log_facts import time_of
from runtime.http_errors import ApiError
from runtime.times import rfc3339
from schemas.events import RequestLogged
from schemas.ids import trace_hash_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import REQUEST_LOGS
from tests.unit.ingest_api.test_json_limits import values

CALL = CallContext("default", 1_769_860_800_123)
NOW = "2026-01-31T12:00:00.123Z"
LIMITS = BodyLimits(512, 65_536, 1000, frozenset({"production"}))
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {b"traceparent": f"00-{TRACE}-{PARENT}-01".encode()}


def posted(body: Any, headers: Mapping[bytes, bytes] | None = None) -> Accepted:
    return log(json.dumps(body).encode(), headers or {}, CALL, LIMITS)


def one(headers: Mapping[bytes, bytes] | None = None, **fields: Any) -> RequestLogged:
    (record,) = posted({"request": {}, "response": {}} | fields, headers).records
    return RequestLogged.model_validate_json(record.value)


def refusal(body: Any, headers: Mapping[bytes, bytes] | None = None) -> ApiError:
    with pytest.raises(ApiError) as caught:
        posted(body, headers)
    return caught.value


def faulty(headers: Mapping[bytes, bytes] | None = None, **fields: Any) -> ApiError:
    return refusal({"request": {}, "response": {}} | fields, headers)


def test_a_full_log_becomes_the_event_it_describes() -> None:
    accepted = posted(
        {
            "request": {
                "url": "https://provider.example/v1/chat",
                "method": "POST",
                "provider": "openai",
                "headers": {"content-type": "application/json"},
                "body": {"model": "m-1", "messages": [{"role": "user", "content": "hé"}]},
            },
            "response": {
                "status": 201,
                "response_time": 412.5,
                "headers": {"x": "y"},
                "body": {"usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 50}},
            },
            "metadata": {"trace_id": "t", "span_id": "s", "parent_span_id": "p", "span_name": "n", "_prompt": 7},
            "cost": "0.25",
            "start_time": "2026-01-31T11:59:59.5Z",
        }
    )
    (record,) = accepted.records
    event = RequestLogged.model_validate_json(record.value)
    assert record.topic == REQUEST_LOGS
    assert record.key == trace_key("default", "t")
    assert record.trace_hash == murmur2(record.key) == trace_hash_of(UUID(event.request_id))
    assert (accepted.ids, accepted.trace_ids) == ([event.request_id], ["t"])
    assert (event.trace_id, event.span_id, event.parent_span_id, event.span_name) == ("t", "s", "p", "n")
    assert (event.provider, event.model, event.method, event.status) == ("openai", "m-1", "POST", 201)
    assert (event.prompt_tokens, event.completion_tokens, event.total_tokens) == (12, 34, 50)
    assert (event.response_time_ms, event.cost, event.prompt) == (412.5, 0.25, "7")
    assert event.request_body["messages"][0]["content"] == "hé"
    assert event.request_headers == {"content-type": "application/json"}
    assert event.started_at.isoformat() == "2026-01-31T11:59:59.500000+00:00"
    assert event.received_at.isoformat() == "2026-01-31T12:00:00.123000+00:00"


def test_a_handlers_array_with_ids_at_the_top_and_a_textual_duration_is_taken() -> None:
    items = [
        {
            "span_id": f"s{n}",
            "parent_span_id": "root",
            "span_name": "llm",
            "trace_id": "t",
            "request": {"method": "POST", "url": "u", "provider": "openai", "headers": {}, "body": {"model": "m"}},
            "response": {"status": 200, "headers": {}, "body": {}, "response_time": "0123", "streamingMode": False},
            "start_time": "2026-01-31 11:00:00",
            "metadata": {},
        }
        for n in range(3)
    ]
    events = [RequestLogged.model_validate_json(record.value) for record in posted(items).records]
    assert [event.span_id for event in events] == ["s0", "s1", "s2"]
    assert {(event.response_time_ms, event.trace_id, event.parent_span_id) for event in events} == {(123, "t", "root")}
    assert events[0].started_at.isoformat() == "2026-01-31T11:00:00+00:00"


def test_the_least_that_a_log_may_be_has_its_defaults() -> None:
    event = one()
    assert (event.method, event.status, event.metadata) == ("post", 200, {})
    assert event.started_at == event.received_at
    assert event.model is None
    assert event.total_tokens is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "request"),
        ({"request": {}}, "response"),
        ({"request": None, "response": {}}, "request"),
        ({"request": {}, "response": "x"}, "response"),
        ({"request": {"url": 5}, "response": {}}, "request.url"),
        ({"request": {"headers": 5}, "response": {}}, "request.headers"),
        ({"request": {}, "response": {"status": 70000}}, "response.status"),
        ({"request": {}, "response": {"status": True}}, "response.status"),
        ({"request": {}, "response": {"response_time": "soon"}}, "response.response_time"),
        ({"request": {}, "response": {"responseTime": -1}}, "response.responseTime"),
        ({"request": {}, "response": {}, "cost": "dear"}, "cost"),
        ({"request": {}, "response": {}, "spanId": 5}, "spanId"),
        ({"request": {}, "response": {}, "metadata": {"traceId": 5}}, "metadata.traceId"),
        ({"request": {}, "response": {}, "metadata": {"_user": []}}, "metadata._user"),
        ({"request": {}, "response": {}, "metadata": "[]"}, "metadata"),
        ([{"request": {}, "response": {}}, {"request": {}, "response": {"status": "x"}}], "[1].response.status"),
        ([{"request": {}, "response": {}}, {"response": {}}], "[1].request"),
    ],
)
def test_a_faulty_log_is_refused_by_its_field(body: Any, param: str) -> None:
    assert refusal(body).param == param


def test_other_bodies_are_no_logs() -> None:
    assert refusal(5).message == "a request log must be an object with request and response, got 5"
    assert "empty" in refusal([]).message


@pytest.mark.parametrize("name", ["response_time", "responseTime", "response_time_ms"])
def test_every_spelling_of_the_duration_is_taken(name: str) -> None:
    assert one(response={name: 7, "status": "404"}).response_time_ms == 7


@pytest.mark.parametrize("metadata", ["trace_id", "traceId", "traceID"])
def test_the_trace_id_is_sought_in_metadata_then_at_the_top_then_in_headers(metadata: str) -> None:
    headers = {b"x-portkey-trace-id": b"header", **TRACEPARENT}
    assert one(headers, traceID="top", metadata={metadata: "inside"}).trace_id == "inside"
    assert one(headers, traceID="top").trace_id == "top"
    assert one(headers).trace_id == "header"
    assert one(TRACEPARENT).trace_id == TRACE
    assert one(TRACEPARENT).parent_span_id == PARENT


def test_without_any_trace_id_a_new_one_is_made_and_told() -> None:
    body: dict[str, Any] = {"request": {}, "response": {}}
    accepted = posted([body, body])
    assert len({*accepted.trace_ids}) == 2
    for record, trace_id in zip(accepted.records, accepted.trace_ids, strict=True):
        assert record.key == trace_key("default", trace_id)


def test_a_long_trace_id_is_refused_where_it_stands() -> None:
    assert faulty(metadata={"traceId": "x" * 513}).param == "metadata.traceId"
    assert faulty(trace_id="x" * 513).param == "trace_id"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"garbage",
    ],
)
def test_a_malformed_traceparent_is_ignored(header: bytes) -> None:
    assert one({b"traceparent": header}).parent_span_id is None


def test_span_headers_serve_where_the_body_has_none() -> None:
    headers = {
        b"x-portkey-span-id": b"s",
        b"x-portkey-parent-span-id": b"p",
        b"x-portkey-span-name": b"n",
        **TRACEPARENT,
    }
    event = one(headers)
    assert (event.span_id, event.parent_span_id, event.span_name) == ("s", "p", "n")
    event = one(headers, spanId="mine", metadata={"parentSpanId": "inside"})
    assert (event.span_id, event.parent_span_id) == ("mine", "inside")


def test_metadata_is_the_bodys_over_portkeys_over_baggage() -> None:
    headers = {
        b"baggage": b"a=1,b=1,c=1;prop=x,d=x%20y , broken, =x,n=%00",
        b"x-portkey-metadata": b'{"b":"2","c":"2"}',
    }
    assert one(headers, metadata={"c": "3"}).metadata == {"a": "1", "b": "2", "c": "3", "d": "x y"}


@pytest.mark.parametrize("header", [b"[]", b"{", b"text", b'{"a":"\\u0000"}'])
def test_a_metadata_header_that_holds_no_object_is_refused(header: bytes) -> None:
    fault = faulty({b"x-portkey-metadata": header})
    assert (fault.param or "").startswith("x-portkey-metadata")


def test_special_fields_fall_back_to_the_names_that_providers_use() -> None:
    event = one(metadata={"user": "m", "organization": "o"}, request={"body": {"user": "r"}})
    assert (event.user, event.organisation) == ("m", "o")
    assert one(request={"body": '{"user":"r"}'}).user == "r"
    event = one(metadata={"_user": "u", "user": "m", "_organisation": "x", "organization": "o"})
    assert (event.user, event.organisation) == ("u", "x")
    assert one(metadata={"user": {"id": 1}}).user is None


def test_bodies_that_are_json_text_are_looked_into_and_kept_as_sent() -> None:
    request, response = '{"model": "m-1"}', '{"usage": {"input_tokens": 3, "output_tokens": 4}}'
    event = one(request={"body": request}, response={"body": response})
    assert (event.model, event.prompt_tokens, event.completion_tokens, event.total_tokens) == ("m-1", 3, 4, 7)
    assert (event.request_body, event.response_body) == (request, response)


def test_the_answers_model_serves_where_the_request_named_none() -> None:
    assert one(request={"body": {}}, response={"body": {"model": "m-2"}}).model == "m-2"
    assert one(request={"body": {"model": "m-1"}}, response={"body": {"model": "m-2"}}).model == "m-1"


@given(values, values)
def test_any_bodies_are_taken_and_kept_exactly(request: Any, response: Any) -> None:
    event = one(request={"body": request}, response={"body": response})
    assert (event.request_body, event.response_body) == (request, response)


@given(st.dictionaries(st.sampled_from(["prompt_tokens", "output_tokens", "total_tokens"]), values))
def test_any_usage_is_taken_but_for_counts_that_no_answer_has(usage: dict[str, Any]) -> None:
    counts = [value for value in usage.values() if isinstance(value, int | float) and value > 2**53 - 1]
    if not counts:
        event = one(response={"body": {"usage": usage}})
        assert event.total_tokens is None or event.total_tokens >= 0


@pytest.mark.parametrize(
    "name", ["prompt_tokens", "input_tokens", "completion_tokens", "output_tokens", "total_tokens"]
)
@pytest.mark.parametrize("beyond", [2**53, 2**63 - 1, 2**64, 1e300, 10**40])
def test_a_count_of_tokens_beyond_what_any_reader_of_json_takes_exactly_is_refused(name: str, beyond: float) -> None:
    field = f"response.body.usage.{name}"
    for body in ({"usage": {name: beyond}}, json.dumps({"usage": {name: beyond}})):
        refused = faulty(response={"body": body})
        assert refused.param == field
        assert refused.message.startswith(f"{field} must be at most 9007199254740991 tokens, got ")
    assert one(response={"body": {"usage": {name: 2**53 - 1}}}).total_tokens == 2**53 - 1


def test_counts_that_are_too_many_together_are_refused() -> None:
    usage = {"input_tokens": 2**53 - 1, "output_tokens": 1}
    assert faulty(response={"body": {"usage": usage}}).param == "response.body.usage"
    assert one(response={"body": {"usage": usage | {"output_tokens": 0}}}).total_tokens == 2**53 - 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        *(({"cost": cost}, "cost") for cost in (1.1e15, -1.1e15, 1e308, "1e308", 10**300)),
        *(({"response": {name: 1.1e15}}, f"response.{name}") for name in ("response_time", "response_time_ms")),
    ],
)
def test_a_cost_or_time_that_could_not_be_added_up_is_refused(fields: dict[str, Any], param: str) -> None:
    assert faulty(**fields).param == param
    assert one(cost=-1e15, response={"response_time": 1e15}).cost == -1e15


@pytest.mark.parametrize(
    "value",
    [
        NOW,
        "2026-01-31t12:00:00.123z",
        "2026-01-31T13:00:00.123456+01:00",
        "2026-01-31 12:00:00.123",
        1_769_860_800_123,
        1_769_860_800.123,
        "1769860800123",
        "1769860800.123",
    ],
)
def test_a_time_may_be_written_or_counted(value: str | float) -> None:
    assert time_of(value, "start_time") == NOW


@pytest.mark.parametrize(
    "value", ["soon", "", 0, -1, 5, "1999-12-31T23:59:59Z", "2100-01-01", 1_769_860_800_123_456, 1e300, "1e999"]
)
def test_a_time_that_is_none_or_out_of_range_is_refused_by_name(value: str | float) -> None:
    with pytest.raises(ApiError) as caught:
        time_of(value, "started_at")
    assert caught.value.param == "started_at"


@given(st.integers(946_684_800_000, 4_102_444_799_999))
def test_every_time_in_range_survives_writing_and_reading(at_ms: int) -> None:
    assert time_of(rfc3339(at_ms), "start_time") == time_of(at_ms, "start_time") == rfc3339(at_ms)


@pytest.mark.parametrize("name", ["start_time", "started_at", "created_at"])
def test_every_spelling_of_the_start_is_taken_and_named(name: str) -> None:
    assert one({}, **{name: "2026-01-31T00:00:00Z"}).started_at.hour == 0
    assert faulty({}, **{name: "soon"}).param == name
    assert faulty({}, **{name: True}).param == name
    assert one({}, **{name: None}).started_at == one().received_at


def test_header_metadata_counts_towards_the_bound() -> None:
    assert faulty({b"x-portkey-metadata": b'{"a":"' + b"x" * 65_536 + b'"}'}).param == "metadata"

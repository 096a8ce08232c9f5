"""What the edge makes of feedback calls: every shape that clients send, and one sentence for what is wrong."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from ingest_api.records import Accepted
from ingest_api.settings import BodyLimits
from ingest_api.validation.feedback import CallContext, create, delete, update
from runtime.http_errors import ApiError
from schemas.events import FeedbackCreated, FeedbackDeleted, FeedbackEvent, FeedbackUpdated
from schemas.ids import idempotent_id, partition_of, trace_hash_of, trace_key
from schemas.murmur2 import murmur2
from schemas.topics import FEEDBACK_EVENTS
from tests.unit.ingest_api.test_json_limits import storable, values

CALL = CallContext("default", 1_769_860_800_123)
LIMITS = BodyLimits(512, 65_536, 1000, frozenset({"production", "staging"}))
EVENTS: TypeAdapter[Any] = TypeAdapter(FeedbackEvent)
OURS = str(idempotent_id(murmur2(b"default/t"), "default", "ours"))

trace_ids = st.text(storable, min_size=1, max_size=512)


def posted(body: Any, headers: Mapping[bytes, bytes] | None = None) -> Accepted:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return create(raw, headers or {}, CALL, LIMITS)


def created(body: Any, headers: Mapping[bytes, bytes] | None = None) -> list[FeedbackCreated]:
    return [EVENTS.validate_json(record.value) for record in posted(body, headers).records]


def one(headers: Mapping[bytes, bytes] | None = None, **fields: Any) -> FeedbackCreated:
    (event,) = created({"trace_id": "t", "value": 1} | fields, headers)
    return event


def refusal(body: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        posted(body)
    return caught.value


def fault_of(raw: bytes) -> ApiError | None:
    """The refusal of a body, or nothing if it is accepted; any other exception is a failure."""
    try:
        posted(raw)
    except ApiError as fault:
        return fault
    return None


def changed(**fields: Any) -> FeedbackUpdated:
    (record,) = update(OURS, json.dumps(fields).encode(), CALL, LIMITS).records
    event = EVENTS.validate_json(record.value)
    assert isinstance(event, FeedbackUpdated)
    return event


@given(
    trace_ids,
    st.integers(-10, 10),
    st.none() | st.integers(0, 1_000_000_000).map(lambda billionths: billionths / 1e9),
    st.dictionaries(trace_ids.filter(lambda name: not name.startswith("_")), values, max_size=3),
    st.integers(1, 64),
)
def test_a_valid_feedback_becomes_the_event_it_describes(
    trace_id: str, value: int, weight: float | None, metadata: dict[str, Any], partitions: int
) -> None:
    accepted = posted({"trace_id": trace_id, "value": value, "weight": weight, "metadata": metadata})
    (record,) = accepted.records
    event = FeedbackCreated.model_validate_json(record.value)
    assert (event.trace_id, event.value, event.metadata) == (trace_id, value, metadata)
    assert event.weight == (1.0 if weight is None else weight)
    assert [str(event.feedback_id)] == accepted.ids
    assert record.topic == FEEDBACK_EVENTS
    assert record.key == trace_key("default", trace_id)
    assert record.at_ms == CALL.now_ms
    assert partition_of(record.trace_hash, partitions) == partition_of(murmur2(record.key), partitions)
    later = delete(accepted.ids[0], CALL).records[0]
    assert partition_of(later.trace_hash, partitions) == partition_of(record.trace_hash, partitions)


@given(st.binary(max_size=80) | values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_accepted_or_refused_with_a_sentence(raw: bytes) -> None:
    fault = fault_of(raw)
    assert fault is None or (fault.status == 400 and fault.message)


@given(values, values, values)
def test_any_fields_are_accepted_or_refused_by_name(value: Any, weight: Any, metadata: Any) -> None:
    fault = fault_of(json.dumps({"trace_id": "t", "value": value, "weight": weight, "metadata": metadata}).encode())
    if fault is None:
        event = one(value=value, weight=weight, metadata=metadata)
        assert -10 <= event.value <= 10
        assert 0 <= event.weight <= 1
    else:
        assert (fault.param or "").split(".")[0].split("[")[0] in ("value", "weight", "metadata")


def test_times_are_milliseconds_in_utc() -> None:
    assert b'"created_at":"2026-01-31T12:00:00.123Z"' in posted({"trace_id": "t", "value": 1}).records[0].value


def test_null_is_as_good_as_missing() -> None:
    event = one(weight=None, metadata=None)
    assert (event.weight, event.metadata) == (1.0, {})


@pytest.mark.parametrize("value", ["7", 7, 7.0, "7.0", "07"])
def test_a_value_may_be_a_numeric_string_or_a_whole_float(value: Any) -> None:
    assert one(value=value).value == 7


@pytest.mark.parametrize(
    "value", [5.5, "5.5", True, False, "", "seven", "1_0", " 7 ", "٧", 11, -11, "11", None, [], {}, 10**40, "9" * 5000]
)
def test_what_is_no_whole_number_in_range_is_no_value(value: Any) -> None:
    fault = refusal({"trace_id": "t", "value": value})
    assert fault.param == "value"
    assert fault.message.startswith("value must be an integer from -10 to 10, got ")


@pytest.mark.parametrize("weight", [0.5, "0.5", "5e-1"])
def test_a_weight_may_be_a_numeric_string(weight: Any) -> None:
    assert one(weight=weight).weight == 0.5


@pytest.mark.parametrize("weight", [1.1, -0.1, True, "heavy", "1e999", [1]])
def test_what_is_no_number_from_0_to_1_is_no_weight(weight: Any) -> None:
    assert refusal({"trace_id": "t", "value": 1, "weight": weight}).param == "weight"


def test_a_weight_is_kept_to_nine_decimals() -> None:
    assert one(weight=0.12345678949).weight == 0.123456789
    assert b'"weight":0.0,' in posted({"trace_id": "t", "value": 1, "weight": -0.0}).records[0].value


@pytest.mark.parametrize("name", ["trace_id", "traceID", "traceId", "trace-id"])
def test_every_spelling_of_trace_id_is_taken(name: str) -> None:
    assert created({name: "x", "value": 1})[0].trace_id == "x"


@pytest.mark.parametrize("body", [{"value": 1}, {"value": 1, "trace_id": None}, {"value": 1, "trace_id": ""}])
def test_the_header_fills_a_missing_trace_id(body: dict[str, Any]) -> None:
    assert created(body, {b"x-portkey-trace-id": b"from-header"})[0].trace_id == "from-header"
    assert refusal(body).message == "trace_id is required"


def test_the_bodys_trace_id_wins_over_the_header() -> None:
    assert one({b"x-portkey-trace-id": b"other"}).trace_id == "t"


@pytest.mark.parametrize("trace_id", [5, True, ["t"], {"a": 1}])
def test_a_trace_id_is_a_string(trace_id: Any) -> None:
    assert refusal({"trace_id": trace_id, "value": 1}).param == "trace_id"


def test_a_long_trace_id_is_refused_with_the_limit() -> None:
    assert one(trace_id="x" * 512)
    assert "at most 512" in refusal({"trace_id": "x" * 513, "value": 1}).message


def test_an_array_keeps_its_order() -> None:
    events = created([{"trace_id": f"t{n}", "value": n} for n in range(10)])
    assert [event.value for event in events] == list(range(10))


def test_an_object_of_positions_is_a_list_in_numeric_order() -> None:
    body = {str(n): {"traceID": f"t{n}", "value": n - 5} for n in reversed(range(12))}
    assert [event.trace_id for event in created(body)] == [f"t{n}" for n in range(12)]


def test_a_bulk_call_is_bounded() -> None:
    item = {"trace_id": "t", "value": 1}
    assert len(created([item] * 1000)) == 1000
    assert "at most 1000 items, got 1001" in refusal([item] * 1001).message
    assert "empty" in refusal([]).message


def test_a_fault_in_a_bulk_call_names_the_item() -> None:
    items: list[Any] = [{"trace_id": "t", "value": 1} for _ in range(5)]
    items[3] = {"trace_id": "t", "value": 11}
    fault = refusal(items)
    assert fault.message == "item 3: value must be an integer from -10 to 10, got 11"
    assert fault.param == "[3].value"
    items[3] = {"trace_id": "t", "value": 1, "metadata": {"_user": {"id": 7}}}
    assert refusal(items).param == "[3].metadata._user"
    items[3] = 5
    assert refusal(items).param == "[3]"


def test_a_single_fault_names_no_item() -> None:
    fault = refusal({"trace_id": "t"})
    assert (fault.message, fault.param) == ("value is required", "value")


def test_metadata_may_be_the_json_of_an_object() -> None:
    assert one(metadata='{"a": [1, null], "_user": "u"}').metadata == {"a": [1, None], "_user": "u"}


@pytest.mark.parametrize(
    "metadata", ["[1]", "5", "null", "{", "", "plain", 5, [1], True, '{"a":"\\u0000"}', '{"a":NaN}']
)
def test_other_metadata_is_refused_by_name(metadata: Any) -> None:
    param = refusal({"trace_id": "t", "value": 1, "metadata": metadata}).param or ""
    assert param.split(".")[0] == "metadata"


def test_metadata_is_passed_on_exactly() -> None:
    raw = b'{"n":123456789012345678901234567890,"s":"\xc3\xa9\\n","d":{"x":[0.1,-5,true,null]}}'
    assert b'"metadata":' + raw in posted(b'{"trace_id":"t","value":1,"metadata":' + raw + b"}").records[0].value


def test_metadata_is_bounded() -> None:
    filling = 65_536 - len('{"a":""}')
    assert one(metadata={"a": "x" * filling})
    assert (
        "at most 65536 bytes" in refusal({"trace_id": "t", "value": 1, "metadata": {"a": "x" * (filling + 1)}}).message
    )


@pytest.mark.parametrize(
    ("given", "lifted"),
    [("u", "u"), (7, "7"), (7.5, "7.5"), (True, "true"), (10**30, str(10**30)), (None, None), ("", None)],
)
def test_special_fields_are_lifted_as_text_and_stay_in_metadata(given: Any, lifted: str | None) -> None:
    metadata = dict.fromkeys(("_user", "_organisation", "_prompt", "_environment"), given)
    event = one(metadata=metadata)
    assert [event.user, event.organisation, event.prompt, event.environment] == [lifted] * 4
    assert event.metadata == metadata


@pytest.mark.parametrize("given", [["u"], {"id": 1}, "x" * 513])
def test_a_special_field_is_short_and_no_structure(given: Any) -> None:
    assert refusal({"trace_id": "t", "value": 1, "metadata": {"_prompt": given}}).param == "metadata._prompt"


@pytest.mark.parametrize(
    ("environment", "home"),
    [("production", "production"), ("Production", "other"), ("x", "other"), (None, ""), ("", "")],
)
def test_the_home_environment_is_known_other_or_none(environment: str | None, home: str) -> None:
    assert one(metadata={"_environment": environment}).home_environment == home


def test_unknown_keys_are_ignored() -> None:
    assert one(feedback_id="x", junk={"a": 1}).trace_id == "t"


def test_ids_are_new_each_time_unless_an_idempotency_key_makes_them_the_same() -> None:
    body = [{"trace_id": "t", "value": 1}, {"trace_id": "t", "value": 1}]
    assert len({*posted(body).ids, *posted(body).ids}) == 4
    keyed = posted(body, {b"idempotency-key": b"k"}).ids
    assert keyed == posted(body, {b"idempotency-key": b"k"}).ids
    assert len({*keyed, *posted(body, {b"idempotency-key": b"other"}).ids}) == 4


def test_an_update_carries_what_is_given_and_nothing_else() -> None:
    (record,) = update(OURS, b'{"value":"3","weight":null,"feedback_id":"x"}', CALL, LIMITS).records
    assert json.loads(record.value) == {
        "event": "update",
        "workspace": "default",
        "feedback_id": OURS,
        "value": 3,
        "updated_at": "2026-01-31T12:00:00.123Z",
    }
    assert record.key == OURS.encode()
    assert changed(weight=0.25).weight == 0.25


def test_an_update_of_metadata_replaces_it_and_its_special_fields() -> None:
    event = changed(metadata={"_user": 5, "a": 1})
    assert (event.metadata, event.user, event.prompt) == ({"_user": 5, "a": 1}, "5", None)
    assert changed(metadata={}).metadata == {}


@pytest.mark.parametrize("body", [b"{}", b'{"value":null}', b'{"trace_id":"t"}'])
def test_an_update_that_changes_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="nothing to change"):
        update(OURS, body, CALL, LIMITS)


@pytest.mark.parametrize("body", [b"[]", b'[{"value":1}]', b'"x"', b'{"value":true}', b'{"value":11}'])
def test_an_update_is_held_to_the_same_rules(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        update(OURS, body, CALL, LIMITS)
    assert caught.value.status == 400


def test_a_delete_names_its_feedback() -> None:
    (record,) = delete(OURS.upper(), CALL).records
    event = EVENTS.validate_json(record.value)
    assert isinstance(event, FeedbackDeleted)
    assert event.feedback_id == OURS
    assert (record.key, record.trace_hash) == (OURS.encode(), trace_hash_of(UUID(OURS)))


@pytest.mark.parametrize(
    ("feedback_id", "told"),
    [
        ("undefined", "feedbackID"),
        ("NOT_GIVEN", "feedback_id="),
        ("x", "the create call"),
        ("0b6ff5c2-5a3c-4f0e-9d3f-2f4f6f1d7c11", "version 8"),
        ("{" + OURS + "}", "the create call"),
        (OURS.replace("-", ""), "the create call"),
    ],
)
def test_an_id_that_was_never_ours_is_not_found_and_says_why(feedback_id: str, told: str) -> None:
    with pytest.raises(ApiError, match=told) as updating:
        update(feedback_id, b'{"value":1}', CALL, LIMITS)
    with pytest.raises(ApiError, match=told) as deleting:
        delete(feedback_id, CALL)
    assert updating.value.status == deleting.value.status == 404

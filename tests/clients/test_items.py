"""What a client accepts, the server accepts; what it refuses, it refuses at once and by the name of the argument."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_client import Client
from feedback_client.items import feedback_item, log_item
from ingest_api.validation import feedback, request_log
from tests.clients.receiver import CALL, LIMITS

# Everything that text may be in Python, surrogates and NUL too, and lengths around the limits.
texts = st.text(st.characters(), max_size=8) | st.sampled_from([511, 512, 513]).map(lambda length: "ü" * length)
numbers = st.integers() | st.floats() | st.sampled_from([10**308, 2**1024, 2**53, 1e-05])
plain = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    plain | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner) | st.dictionaries(texts | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = {"a": value}
    return value


depths = st.integers(94, 101).map(nested)
names = st.sampled_from(["_user", "_prompt", "user", "organization", "trace_id", "spanId", "a"])
metadata = st.dictionaries(names | texts, values | depths, max_size=3)
few_values = st.integers(-12, 12) | st.booleans() | st.floats(-11, 11) | st.just("5")
weights = st.floats(-0.1, 1.1) | st.sampled_from([0, 1, True, float("nan"), "1", None])


@given(texts, few_values, weights, metadata)
def test_a_feedback_that_the_client_accepts_the_server_accepts(
    trace_id: str, value: Any, weight: Any, metadata: dict[str, Any]
) -> None:
    try:
        item = feedback_item(trace_id, value, weight, metadata)
    except ValueError:
        return
    (record,) = feedback.create(b"[" + item.body + b"]", {}, CALL, LIMITS).records
    event = json.loads(record.value)
    assert (event["trace_id"], event["value"]) == (trace_id, value)
    assert abs(event["weight"] - weight) < 1e-9


@st.composite
def parts(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    bodies = st.none() | depths | st.dictionaries(st.sampled_from(["model", "user", "usage", "a"]), values, max_size=3)
    usage = st.dictionaries(st.sampled_from(["prompt_tokens", "output_tokens", "total_tokens"]), numbers, max_size=3)
    request = {"url": draw(texts | st.integers()), "headers": draw(values), "body": draw(bodies)}
    response = {
        "status": draw(st.integers(-1, 65536) | st.none() | st.booleans()),
        "response_time": draw(numbers | st.none()),
        "body": draw(bodies | st.builds(lambda usage: {"usage": usage}, usage)),
    }
    return request, response


@given(parts(), metadata, st.none() | numbers, st.floats(946_684_000, 4_102_444_900))
def test_a_log_that_the_client_accepts_the_server_accepts(
    parts: tuple[dict[str, Any], dict[str, Any]], metadata: dict[str, Any], cost: float | None, started_at: float
) -> None:
    try:
        item = log_item(*parts, "t", started_at, metadata, {"span_id": None}, cost)
    except ValueError:
        return
    (record,) = request_log.log(b"[" + item.body + b"]", {}, CALL, LIMITS).records
    assert json.loads(record.value)["trace_id"] == "t"


def test_metadata_that_the_server_would_write_longer_is_measured_as_it_would() -> None:
    fits = {"a": [1e-05] * 8_000}
    assert feedback.create(feedback_item("t", 1, 1, fits).body, {}, CALL, LIMITS).ids
    with pytest.raises(ValueError, match="metadata must have at most 65536 bytes"):
        feedback_item("t", 1, 1, {"a": [1e-05] * 8_200})


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"value": 11}, "value must be a whole number from -10 to 10, got 11"),
        ({"value": 1.5}, "value must be a whole number, got 1.5"),
        ({"value": True}, "value must be a whole number, got True"),
        ({"value": 1, "weight": 1.1}, "weight must be a number from 0 to 1, got 1.1"),
        ({"value": 1, "trace_id": ""}, "trace_id must have 1 to 512 characters, got 0"),
        ({"value": 1, "trace_id": "t" * 513}, "trace_id must have 1 to 512 characters, got 513"),
        ({"value": 1, "text": "a\0"}, "metadata holds a NUL character, which cannot be stored"),
        ({"value": 1, "user": "u" * 513}, "user must have at most 512 characters, got 513"),
        ({"value": 1, "metadata": {"a": "x" * 65_536}}, "metadata must have at most 65536 bytes as JSON, got 65544"),
        ({"value": 1, "metadata": {1: "a"}}, "metadata has the key 1: keys must be strings"),
        ({"value": 1, "metadata": [1]}, "metadata must be a mapping of names to JSON values, got list"),
    ],
)
def test_a_refusal_names_the_argument_and_nothing_is_queued(arguments: dict[str, Any], refusal: str) -> None:
    client = Client("http://127.0.0.1:9")
    with pytest.raises(ValueError, match="^" + refusal.split(":")[0]):
        client.feedback(**{"trace_id": "t", **arguments})
    assert client.counts.queued == 0
    client.close(0)


def test_a_faulty_address_or_key_is_refused_by_the_name_of_its_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_URL", "user:secret@localhost:8787")
    with pytest.raises(ValueError, match=r"base_url \(FEEDBACK_URL\) must begin with http") as fault:
        Client()
    assert "secret" not in str(fault.value)
    for place in ("h:x", "h:99999", "", "[::1", "h\0"):
        with pytest.raises(ValueError, match=r"base_url \(FEEDBACK_URL\) must name a host and a port") as fault:
            Client(f"http://user:secret@{place}")
        assert "secret" not in str(fault.value)
    monkeypatch.setenv("FEEDBACK_API_KEY", "a\nb")
    with pytest.raises(ValueError, match=r"api_key \(FEEDBACK_API_KEY\)"):
        Client("http://127.0.0.1:9")

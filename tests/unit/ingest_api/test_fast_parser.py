"""The short way of reading feedback reads nothing that the rules refuse, and everything it reads as the rules do."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest_api.settings import BodyLimits
from ingest_api.validation.fast_parser import read_plain
from ingest_api.validation.feedback_item import FeedbackItem
from ingest_api.validation.strict_parser import read_by_rules, read_feedback
from runtime.http_errors import ApiError
from tests.tries import tries
from tests.unit.ingest_api.test_json_limits import values

LIMITS = BodyLimits(8, 60, 3, frozenset({"production"}))
DEEPEST_METADATA = b"[" * 98 + b"]" * 98

# Pieces of JSON that are right, nearly right, or read differently by one parser or another.
SCALARS = r"""
    1 -10 10 11 -0 0 0.5 1.0 5.0 1e0 1e1 -0.0 0.1234567891 1e-400 1e999 NaN Infinity 01 1. .5 +1 true false null
    "" "t" "x-y" "12345678" "123456789" "5" "0.5" "é" "\u00e9" "\u0000" "\\u0000" "\ud83d\ude00" "\ud800"
    "\udc00x" "\x" [] {} [1] [[2]] {"a":1} {"a":1,"a":2} "{}" "{\"a\":1}" "{"
    9223372036854775807 -9223372036854775809 18446744073709551616 123456789012345678901234567890
"""
BOUNDARIES = ["9" * 308, "9" * 309, "[" * 98 + "]" * 98, "[" * 99 + "]" * 99, "[" * 1100 + "]" * 1100, '"\t"', '"\x00"']
scalars = st.sampled_from([*SCALARS.split(), *BOUNDARIES])
names = st.sampled_from(
    ["trace_id", "traceID", "traceId", "trace-id", "value", "weight", "metadata", "tr\\u0061ce_id", "junk", "0", "1"]
)
special = st.sampled_from(["_user", "_organisation", "_prompt", "_environment", "a", "\\u0000", "_us\\u0065r"])


def an_object(keys: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(keys, inner), max_size=5)
    return members.map(lambda found: "{" + ",".join(f'"{key}": {value}' for key, value in found) + "}")


metadata = an_object(special, scalars)
# Mostly whole feedback, so that much of it is accepted, with any member before or after to overrule it.
likely = st.builds(
    lambda before, value, weight, meta, after: ",".join(
        [*before, f'"trace_id":"t","value":{value},"weight":{weight},"metadata":{meta}', *after]
    ).join("{}"),
    st.lists(st.tuples(names, scalars).map(lambda pair: f'"{pair[0]}":{pair[1]}'), max_size=1),
    st.integers(-11, 11).map(str),
    st.sampled_from(["1", "0", "0.5", "null", "-0.0", "1.5", '"0.5"']),
    metadata | scalars,
    st.lists(st.tuples(names, scalars).map(lambda pair: f'"{pair[0]}":{pair[1]}'), max_size=2),
)
item = likely | an_object(names, scalars | metadata)
bodies = (item | st.lists(item | scalars, max_size=4).map(lambda found: "[" + " , ".join(found) + "]") | scalars).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def by_rules(body: bytes, fallback: str | None) -> list[FeedbackItem] | str:
    """What the rules make of a body: feedback, or the sentence of its refusal."""
    try:
        return read_by_rules(body, fallback, LIMITS)
    except ApiError as refusal:
        return refusal.message


@settings(max_examples=tries(400))
@given(bodies, st.sampled_from([None, "header", "longer than it may be"]))
@example(b'{"trace_id":"t","value":1,"metadata":{"a":' + b"9" * 309 + b"}}", None)
@example(b'{"trace_id":"t","value":1,"metadata":{"a":' + b"9" * 309 + b',"a":1}}', None)
@example(b'{"trace_id":"t","value":1,"metadata":{"a":' + b"9" * 309 + b'},"metadata":{}}', None)
@example(b'{"trace_id":"t","value":1,"metadata":{"a":' + b"[" * 1100 + b"]" * 1100 + b',"a":1}}', None)
@example(b'{"trace_id":"t","value":1,"metadata":{"a":' + DEEPEST_METADATA + b"}}", None)
@example(b'{"trace_id":"t","value":1,"metadata":{"a":[' + DEEPEST_METADATA + b"]}}", None)
@example(b'{"trace_id":null,"traceID":"t","value":1}', None)
@example(b'{"trace_id":"t","value":1,"metadata":{"_user":"' + b"u" * 513 + b'"}}', None)
def test_what_is_plain_is_read_as_the_rules_read_it_and_the_rest_is_left_to_them(
    body: bytes, fallback: str | None
) -> None:
    plain, ruled = read_plain(body, fallback, LIMITS), by_rules(body, fallback)
    assert plain is None or repr(plain) == repr(ruled)


def test_a_number_beyond_what_a_float_holds_is_left_to_the_rules_wherever_it_stands() -> None:
    def body(spaces: int, digits: int) -> bytes:
        return b" " * spaces + b'{"trace_id":"t","value":1,"metadata":{"a":' + b"9" * digits + b"}}"

    limits = BodyLimits(512, 65_536, 1000, frozenset())
    for spaces in range(320):
        assert read_plain(body(spaces, 309), None, limits) is None
        assert read_plain(body(spaces, 150), None, limits) == read_by_rules(body(spaces, 150), None, limits)


@settings(max_examples=tries(100))
@given(st.binary(max_size=60) | bodies.flatmap(lambda body: st.integers(0, len(body)).map(lambda at: body[:at])))
def test_bytes_that_are_no_json_are_left_to_the_rules(body: bytes) -> None:
    plain, ruled = read_plain(body, "t", LIMITS), by_rules(body, "t")
    assert plain is None or repr(plain) == repr(ruled)


@given(values, st.booleans())
def test_metadata_of_any_shape_is_read_as_the_rules_read_it(value: Any, escaped: bool) -> None:
    limits = BodyLimits(512, 65_536, 1000, frozenset())
    body = json.dumps({"trace_id": "t", "value": 1, "metadata": {"a": value}}, ensure_ascii=escaped).encode()
    plain = read_plain(body, None, limits)
    assert plain is None or repr(plain) == repr(read_by_rules(body, None, limits))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"weight": None, "metadata": None},
        {"weight": 0.25, "metadata": {"_user": "u", "_environment": "production", "n": [1, {"a": None}], "é": "\n"}},
        {"metadata": {"_user": 7, "_prompt": ""}},
    ],
)
@pytest.mark.parametrize("name", ["trace_id", "traceID", "traceId", "trace-id"])
def test_what_clients_mostly_send_is_plain(name: str, fields: dict[str, Any]) -> None:
    limits = BodyLimits(512, 65_536, 1000, frozenset({"production"}))
    one = {name: "t", "value": 5, **fields}
    for body in (one, [one] * 1000):
        raw = json.dumps(body).encode()
        plain = read_plain(raw, None, limits)
        assert plain is not None
        assert plain == read_feedback(raw, None, limits)

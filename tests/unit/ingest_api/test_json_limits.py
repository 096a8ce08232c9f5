"""JSON at the edge: passed on exactly, or refused with its place."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.validation.json_limits import MAX_CONTAINERS, MAX_DEPTH, MAX_KEYS_COMPARED, dump, parse, shown
from runtime.http_errors import ApiError

storable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
text = st.text(storable)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


def refusal(raw: bytes) -> ApiError:
    with pytest.raises(ApiError) as caught:
        parse(raw)
    return caught.value


@given(values, st.booleans())
def test_a_value_is_passed_on_exactly(value: Any, escaped: bool) -> None:
    raw = json.dumps(value, ensure_ascii=escaped).encode()
    assert json.loads(dump(parse(raw))) == value


@pytest.mark.parametrize("digits", [2**63, 2**64, -(2**63) - 1, 10**300 + 7])
def test_integers_beyond_64_bits_keep_every_digit(digits: int) -> None:
    assert dump(parse(b'{"n":[%d]}' % digits)) == b'{"n":[%d]}' % digits


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"[1e999]"])
def test_numbers_that_json_has_not_are_refused(raw: bytes) -> None:
    assert "not JSON" in refusal(raw).message


@pytest.mark.parametrize("raw", [b'"\\ud800"', b'{"a":"\\udc00x"}', b'"\xff"', b'"\xed\xa0\x80"'])
def test_text_that_is_not_unicode_is_refused(raw: bytes) -> None:
    assert "not JSON" in refusal(raw).message


def test_a_syntax_error_tells_line_and_column() -> None:
    assert refusal(b'{"a": 1,\n "b": }').message.endswith("at line 2 column 7")


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (b'{"a": 1,\n "b": "\xff"}', "it is not UTF-8 at line 2 column 8"),
        ('{"ä": 1,\n "ö" 1}'.encode(), "at line 2 column 6"),
        (b'{"a": [1,\n', "it ends too early at line 2 column 1"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_where_in_characters(raw: bytes, end: str) -> None:
    assert refusal(raw).message.endswith(end)


@pytest.mark.parametrize("raw", [b"9" * 309, b"[-%b]" % (b"9" * 309), b'{"a":[1%b]}' % (b"0" * 5000)])
def test_an_integer_too_large_for_a_float_is_refused(raw: bytes) -> None:
    assert "an integer too large" in refusal(raw).message


@pytest.mark.parametrize(
    "raw", [b"1" + b"0" * 308, b'"%b"' % (b"9" * 400), b"0.%b" % (b"9" * 400), b"1%be-200" % (b"0" * 400), b"9" * 308]
)
def test_as_many_digits_in_a_smaller_number_or_in_text_are_accepted(raw: bytes) -> None:
    assert parse(raw) == json.loads(raw)


@pytest.mark.parametrize(
    ("number", "written"), [(2e22, b"2e22"), (1e-7, b"1e-7"), (1.5e300, b"1.5e300"), (0.1, b"0.1")]
)
def test_a_number_is_written_as_clickhouse_writes_it(number: float, written: bytes) -> None:
    """So a filter by a metadata value finds the text that ClickHouse has made of it."""
    assert dump(number) == written


def test_an_empty_body_is_called_empty() -> None:
    assert refusal(b" ").message == "the body is empty, JSON is expected"


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"a":{"b":["x","\\u0000"]}}', "a.b[1]"),
        (b'[{"a":"x\\u0000y"}]', "[0].a"),
        (b'{"a":{"\\u0000":1}}', "a.\\u0000"),
        (b'"\\u0000"', None),
    ],
)
def test_a_nul_character_is_refused_by_its_place(raw: bytes, param: str | None) -> None:
    fault = refusal(raw)
    assert "NUL" in fault.message
    assert fault.param == param


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"a":1,"a":1}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"a":{"b":[0,{"c":1,"d":{},"c":2}]}}', "a.b[1].c"),
        (b'[{"a":1},{"a":1,"a":1}]', "[1].a"),
        (b'{"a":{"b":1,"b":2},"a":1}', "a"),
        # As many colons as without the second key, for another one is escaped.
        (b'{"a":"\\u003a","a":":"}', "a"),
        (b'{"s":"\\u003A","a":1,"a":1}', "a"),
        (b'{"a":":","a":1}', "a"),
        (b'{"a":%b,"a":1}' % (b"[" * 90 + b"]" * 90), "a"),
    ],
)
def test_a_key_that_stands_twice_in_one_object_is_refused_by_its_place(raw: bytes, param: str) -> None:
    fault = refusal(raw)
    assert fault.message == f"{param} appears twice in one object: send it once"
    assert fault.param == param


class Members(list[tuple[str, Any]]):
    """An object as it is written: a key may come again."""


def written(value: Any) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(key)}:{written(inner)}" for key, inner in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value)


def doubled(value: Any, place: str = "") -> str | None:
    """Where the outermost key that comes again stands, of several in one object the first to come again."""
    if isinstance(value, Members):
        keys = [key for key, _ in value]
        again = [place + key for n, key in enumerate(keys) if key in keys[:n]]
        return next(iter(again), None) or next(filter(None, (doubled(v, f"{place}{k}.") for k, v in value)), None)
    if isinstance(value, list):
        before = place.removesuffix(".")
        return next(filter(None, (doubled(v, f"{before}[{n}].") for n, v in enumerate(value))), None)
    return None


@given(
    st.recursive(
        st.integers(0, 2) | st.just(":"),
        lambda inner: (
            st.lists(inner, max_size=3) | st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3).map(Members)
        ),
        max_leaves=20,
    )
)
def test_the_outermost_key_that_stands_twice_is_named_of_any_body(value: Any) -> None:
    if (place := doubled(value)) is None:
        parse(written(value).encode())
    else:
        assert refusal(written(value).encode()).param == place


def test_in_a_body_of_very_many_keys_a_duplicate_is_refused_without_its_name_and_the_message_says_how_to_find_it() -> (
    None
):
    members = ",".join(f'"{n}":":"' for n in range(MAX_KEYS_COMPARED - 1))
    assert refusal(b'{%b,"0":1}' % members.encode()).param == "0"
    fault = refusal(b'{%b,"a":1,"0":1}' % members.encode())
    assert fault.param is None
    assert "appears twice" in fault.message
    assert f"up to {MAX_KEYS_COMPARED} keys" in fault.message


@given(values, st.booleans(), st.booleans())
def test_no_other_body_is_said_to_have_a_key_twice(value: Any, escaped: bool, colons: bool) -> None:
    raw = json.dumps({"a:": value, "b": {"a:": ":\\u003a"}}, ensure_ascii=escaped).encode()
    parse(raw.replace(b":", b"\\u003a", 1) if colons else raw)


@pytest.mark.parametrize("after", [b"1", b"12345678901234567890", b'"\\u003a"'])
def test_nesting_too_deep_is_refused_also_where_a_later_key_would_overrule_it(after: bytes) -> None:
    refusal(b'{"a":' + b"[" * 1010 + b"]" * 1010 + b',"a":' + after + b"}")


def test_the_six_characters_of_an_escaped_nul_are_no_nul() -> None:
    assert parse(b'"\\\\u0000"') == "\\u0000"


@given(st.integers(1, 300), st.sampled_from([b"1", b""]))
def test_depth_is_bounded_exactly(depth: int, innermost: bytes) -> None:
    raw = b"[" * depth + innermost + b"]" * depth
    if depth <= MAX_DEPTH:
        parse(raw)
    else:
        assert "nested deeper" in refusal(raw).message


def test_many_siblings_are_not_depth() -> None:
    assert len(parse(b"[" + b",".join([b"[[]]"] * 1000) + b"]")) == 1000


@pytest.mark.parametrize("one", [b"[]", b"{}", b'{"a":[]}'])
def test_the_number_of_arrays_and_objects_is_bounded_exactly(one: bytes) -> None:
    many = (MAX_CONTAINERS - 1) // (one.count(b"{") + one.count(b"["))
    assert len(parse(b"[" + b",".join([one] * many) + b"]")) == many
    assert "more than 200000 arrays and objects" in refusal(b"[" + b",".join([one] * (many + 1)) + b"]").message


@pytest.mark.parametrize("inside", [b"{", b'\\"[', b"[\\\\"])
def test_brackets_in_text_are_no_arrays(inside: bytes) -> None:
    raw = b'["' + inside * (MAX_CONTAINERS + 1) + b'",[]]'
    assert parse(raw) == json.loads(raw)


def test_a_refusal_quotes_a_long_value_in_part() -> None:
    assert shown("x" * 500) == '"' + "x" * 58 + "…"
    assert shown([1]) == "an array"


@pytest.mark.parametrize("inside", ['{"%s":{"a":1,"a":1}}', '{"%s":"\\u0000"}'])
def test_a_refusal_quotes_the_beginning_of_a_long_name(inside: str) -> None:
    with pytest.raises(ApiError) as refusal:
        parse((inside % ("k" * 1_000_000)).encode())
    assert refusal.value.param is not None
    assert refusal.value.param.startswith("kkk")
    assert len(refusal.value.message) < 200

"""No body holds the edge's event loop much longer than an ordinary one of its size."""

import contextlib
import gc
import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from time import process_time
from typing import Any

import pytest

from ingest_api.settings import BodyLimits
from ingest_api.validation.json_limits import MAX_CONTAINERS, MAX_KEYS_COMPARED, parse
from ingest_api.validation.redaction import headers_without_secrets
from ingest_api.validation.strict_parser import read_feedback
from ingest_api.validation.text_redaction import text_without_secrets
from runtime.garbage_collection import configure_gc
from runtime.harmless_names import HarmlessNames
from runtime.http_errors import ApiError

LARGEST = 5_000_000
LIMITS = BodyLimits(512, 65_536, 1000, frozenset())
MOST = 8
"""Times as long as an ordinary body."""


@pytest.fixture(autouse=True, scope="module")
def _collected_as_in_an_edge() -> Iterator[None]:
    """Or else all that the tests before have left is looked through for what is made here."""
    thresholds = gc.get_threshold()
    configure_gc(by_count=True)
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def repeated(piece: bytes, size: int = LARGEST - 200, between: bytes = b",") -> bytes:
    return between.join([piece] * (size // (len(piece) + len(between))))


@cache
def ordinary_body() -> bytes:
    metadata = {f"k{n}": n for n in range(400)}
    return json.dumps([{"trace_id": "t", "value": 1, "metadata": metadata}] * 1000).encode()


def times_an_ordinary_body(work: Callable[[], object]) -> float:
    """How much more computing it takes, both at best of five taken in turn; of fewer, once it is far from too much."""

    def seconds(what: Callable[[], object]) -> float:
        began = process_time()
        with contextlib.suppress(ApiError):
            what()
        return process_time() - began

    works = ordinary = math.inf
    body = ordinary_body()
    for _ in range(5):
        works = min(works, seconds(work))
        ordinary = min(ordinary, seconds(lambda: read_feedback(body, None, LIMITS)))
        if works < ordinary * MOST * 0.75:
            break
    return works / ordinary


def test_an_ordinary_body_is_about_as_large() -> None:
    assert 0.9 * LARGEST < len(ordinary_body()) < 1.1 * LARGEST


def empty() -> bytes:
    return repeated(b"{}")


def allowed() -> bytes:
    return b",".join([b"{}"] * (MAX_CONTAINERS - 10)) + b',"%b"' % (b"x" * 4_000_000)


def distinct_members(count: int, member: bytes = b'"%d":1') -> bytes:
    return b",".join(member % n for n in range(count))


BODIES: dict[str, Callable[[], bytes]] = {
    "empty objects": lambda: b"[%b]" % empty(),
    "empty objects and an escaped colon": lambda: b'["\\u003a",%b]' % empty(),
    "as many as are allowed and an escaped colon": lambda: b'["\\u003a",%b]' % allowed(),
    "as many as are allowed and a doubled key": lambda: b'[%b,{"a":1,"a":1}]' % allowed(),
    "as many as are allowed and a NUL": lambda: b'[%b,"\\u0000"]' % allowed(),
    "one key doubled": lambda: b"{%b}" % repeated(b'"a":1'),
    "one key doubled among others": lambda: b'{%b,"1":1}' % distinct_members(450_000),
    "a key doubled beside many others": lambda: b'{%b,"":{"a":1,"a":1}}' % distinct_members(450_000),
    "a key doubled beside many objects": lambda: (
        b'{%b,%b,"":{"a":1,"a":1}}' % (distinct_members(MAX_CONTAINERS - 10, b'"o%d":{}'), distinct_members(180_000))
    ),
    "a key doubled beside as many as are compared": lambda: (
        b'{%b,"":[%b,{"a":1,"a":1}],"b":"%b"}'
        % (distinct_members(MAX_KEYS_COMPARED - 10, b'"%d":{}'), empty()[: 3 * 99_000 - 1], b"x" * 3_000_000)
    ),
    "an integer beyond 64 bits and many keys": lambda: b'{%b,"":12345678901234567890}' % distinct_members(450_000),
    "numbers and the text of an escaped NUL": lambda: b'["\\\\u0000",%b]' % repeated(b"1"),
    "arrays as deep as is allowed": lambda: b"[%b]" % repeated(b"[" * 97 + b"]" * 97),
    "arrays too deep": lambda: b"[%b]" % repeated(b"[" * 1000 + b"]" * 1000),
    "escaped quotes without an end": lambda: repeated(b"[", 500_000, b"") + b'"' + repeated(b'\\"', 4_000_000, b""),
    "backslashes": lambda: b'"\\u003a%b"' % repeated(b"\\\\", between=b""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_costs_little_more_than_an_ordinary_one(name: str) -> None:
    body = BODIES[name]()
    assert len(body) <= LARGEST
    assert times_an_ordinary_body(lambda: parse(body)) < MOST


HEADERS: dict[str, Callable[[], Any]] = {
    "long names": lambda: {f"x{piece * (LARGEST // len(piece))}x": 1 for piece in ("-", "api-", "Key")},
    "many names": lambda: {f"{n}": 1 for n in range(LARGEST // 10)},
    "many pairs": lambda: [["a", 1]] * (LARGEST // 8),
    "many objects": lambda: [{"a": 1}] * (LARGEST // 8),
    "many values": lambda: {"via": [1] * (LARGEST // 2)},
    "many values of one name": lambda: [["via", [1] * 100]] * (LARGEST // 210),
    "many lines": lambda: "a:1\n" * (LARGEST // 4),
    "empty lines": lambda: "\n" * LARGEST,
    "one line": lambda: "a" * LARGEST,
    "one line without a name": lambda: " " * LARGEST,
    "JSON": lambda: json.dumps([["a", 1]] * (LARGEST // 10)),
    "no JSON": lambda: "[" * LARGEST,
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers_cost_little_more_than_an_ordinary_body(name: str) -> None:
    headers = HEADERS[name]()
    assert times_an_ordinary_body(lambda: headers_without_secrets(headers, HarmlessNames())) < MOST


@pytest.mark.parametrize(
    "piece", ['"//', "secretabcd: ", "key=a ", "a:b@c ", "a:@", "a:b@", "/aB1cD2eF3gH4iJ5kL6mN ", "/aB", "/a-"]
)
def test_no_text_of_an_error_takes_much_longer_to_redact(piece: str) -> None:
    share = 5
    text = piece * (LARGEST // share // len(piece))
    assert share * times_an_ordinary_body(lambda: text_without_secrets(text, HarmlessNames())) < 1.5 * MOST


def test_a_text_with_more_secrets_than_any_has_is_redacted_whole() -> None:
    for piece in ("//h?k=s3cret ", "token=s3cret ", "u:s3cret@h "):
        assert text_without_secrets(piece * 50, HarmlessNames()).count("[redacted]") == 50
        assert text_without_secrets(piece * 2_000, HarmlessNames()) == "[redacted]"

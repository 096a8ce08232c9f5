"""No body holds the edge's event loop much longer than an ordinary one of its size."""

import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import pytest

from ingest_api.errors import RefusedError
from ingest_api.feedback_reader import read_feedback
from ingest_api.harmless import Harmless
from ingest_api.json_text import MAX_CONTAINERS, MAX_KEYS_COMPARED, parse
from ingest_api.secrets import headers_without_secrets
from ingest_api.settings import Limits
from schemas.garbage import configure_gc

LARGEST = 5_000_000
LIMITS = Limits(512, 65_536, 1000, frozenset())
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


METADATA = {f"k{n}": n for n in range(400)}
ORDINARY = json.dumps([{"trace_id": "t", "value": 1, "metadata": METADATA}] * 1000).encode()


def times_an_ordinary_body(work: Callable[[], object]) -> float:
    """How much more computing it takes, both at best of five taken in turn."""

    def seconds(what: Callable[[], object]) -> float:
        began = process_time()
        with contextlib.suppress(RefusedError):
            what()
        return process_time() - began

    pairs = [(seconds(work), seconds(lambda: read_feedback(ORDINARY, None, LIMITS))) for _ in range(5)]
    works, ordinary = map(min, zip(*pairs, strict=True))
    return works / ordinary


def test_an_ordinary_body_is_about_as_large() -> None:
    assert 0.9 * LARGEST < len(ORDINARY) < 1.1 * LARGEST


EMPTY = repeated(b"{}")
ALLOWED = b",".join([b"{}"] * (MAX_CONTAINERS - 10)) + b',"%b"' % (b"x" * 4_000_000)
UNLIKE = b",".join(b'"%d":1' % n for n in range(450_000))
UNLIKE_TOO = b",".join(b'"%d":1' % n for n in range(180_000))
OBJECTS = b",".join(b'"o%d":{}' % n for n in range(MAX_CONTAINERS - 10))
COMPARED = b",".join(b'"%d":{}' % n for n in range(MAX_KEYS_COMPARED - 10))
BODIES = {
    "empty objects": b"[%b]" % EMPTY,
    "empty objects and an escaped colon": b'["\\u003a",%b]' % EMPTY,
    "as many as are allowed and an escaped colon": b'["\\u003a",%b]' % ALLOWED,
    "as many as are allowed and a doubled key": b'[%b,{"a":1,"a":1}]' % ALLOWED,
    "as many as are allowed and a NUL": b'[%b,"\\u0000"]' % ALLOWED,
    "one key doubled": b"{%b}" % repeated(b'"a":1'),
    "one key doubled among others": b'{%b,"1":1}' % UNLIKE,
    "a key doubled beside many others": b'{%b,"":{"a":1,"a":1}}' % UNLIKE,
    "a key doubled beside many objects": b'{%b,%b,"":{"a":1,"a":1}}' % (OBJECTS, UNLIKE_TOO),
    "a key doubled beside as many as are compared": (
        b'{%b,"":[%b,{"a":1,"a":1}],"b":"%b"}' % (COMPARED, EMPTY[: 3 * 99_000 - 1], b"x" * 3_000_000)
    ),
    "an integer beyond 64 bits and many keys": b'{%b,"":12345678901234567890}' % UNLIKE,
    "numbers and the text of an escaped NUL": b'["\\\\u0000",%b]' % repeated(b"1"),
    "arrays as deep as is allowed": b"[%b]" % repeated(b"[" * 97 + b"]" * 97),
    "arrays too deep": b"[%b]" % repeated(b"[" * 1000 + b"]" * 1000),
    "escaped quotes without an end": repeated(b"[", 500_000, b"") + b'"' + repeated(b'\\"', 4_000_000, b""),
    "backslashes": b'"\\u003a%b"' % repeated(b"\\\\", between=b""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_costs_little_more_than_an_ordinary_one(name: str) -> None:
    assert len(BODIES[name]) <= LARGEST
    assert times_an_ordinary_body(lambda: parse(BODIES[name])) < MOST


HEADERS: dict[str, Any] = {
    "long names": {f"x{piece * (LARGEST // len(piece))}x": 1 for piece in ("-", "api-", "Key")},
    "many names": {f"{n}": 1 for n in range(LARGEST // 10)},
    "many pairs": [["a", 1]] * (LARGEST // 8),
    "many objects": [{"a": 1}] * (LARGEST // 8),
    "many values": {"via": [1] * (LARGEST // 2)},
    "many values of one name": [["via", [1] * 100]] * (LARGEST // 210),
    "many lines": "a:1\n" * (LARGEST // 4),
    "empty lines": "\n" * LARGEST,
    "one line": "a" * LARGEST,
    "one line without a name": " " * LARGEST,
    "JSON": json.dumps([["a", 1]] * (LARGEST // 10)),
    "no JSON": "[" * LARGEST,
}


@pytest.mark.parametrize("name", HEADERS)
def test_hostile_headers_cost_little_more_than_an_ordinary_body(name: str) -> None:
    assert times_an_ordinary_body(lambda: headers_without_secrets(HEADERS[name], Harmless())) < MOST

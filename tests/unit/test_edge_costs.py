"""No body holds the edge's event loop much longer than an ordinary one of its size."""

import contextlib
import json
from collections.abc import Callable
from time import process_time

import pytest

from ingest_api.errors import RefusedError
from ingest_api.feedback_reader import read_feedback
from ingest_api.json_text import MAX_CONTAINERS, parse
from ingest_api.secrets import headers_without_secrets, url_without_secrets
from ingest_api.settings import Limits

LARGEST = 5_000_000
LIMITS = Limits(512, 65_536, 1000, frozenset())
MOST = 8
"""Times as long as an ordinary body."""


def repeated(piece: bytes, size: int = LARGEST - 200, between: bytes = b",") -> bytes:
    return between.join([piece] * (size // (len(piece) + len(between))))


def seconds(work: Callable[[], object]) -> float:
    """Of computing, at best of three."""

    def once() -> float:
        began = process_time()
        with contextlib.suppress(RefusedError):
            work()
        return process_time() - began

    return min(once() for _ in range(3))


@pytest.fixture(scope="module")
def ordinary_s() -> float:
    metadata = {f"k{n}": n for n in range(400)}
    body = json.dumps([{"trace_id": "t", "value": 1, "metadata": metadata}] * 1000).encode()
    assert 0.9 * LARGEST < len(body) < 1.1 * LARGEST
    return seconds(lambda: read_feedback(body, None, LIMITS))


EMPTY = repeated(b"{}")
ALLOWED = b",".join([b"{}"] * (MAX_CONTAINERS - 10)) + b',"%b"' % (b"x" * 4_000_000)
UNLIKE = b",".join(b'"%d":1' % n for n in range(450_000))
BODIES = {
    "empty objects": b"[%b]" % EMPTY,
    "empty objects and an escaped colon": b'["\\u003a",%b]' % EMPTY,
    "as many as are allowed and an escaped colon": b'["\\u003a",%b]' % ALLOWED,
    "as many as are allowed and a doubled key": b'[%b,{"a":1,"a":1}]' % ALLOWED,
    "as many as are allowed and a NUL": b'[%b,"\\u0000"]' % ALLOWED,
    "one key doubled": b"{%b}" % repeated(b'"a":1'),
    "one key doubled among others": b'{%b,"1":1}' % UNLIKE,
    "numbers and the text of an escaped NUL": b'["\\\\u0000",%b]' % repeated(b"1"),
    "arrays as deep as is allowed": b"[%b]" % repeated(b"[" * 97 + b"]" * 97),
    "arrays too deep": b"[%b]" % repeated(b"[" * 1000 + b"]" * 1000),
    "escaped quotes without an end": repeated(b"[", 500_000, b"") + b'"' + repeated(b'\\"', 4_000_000, b""),
    "backslashes": b'"\\u003a%b"' % repeated(b"\\\\", between=b""),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_hostile_body_costs_little_more_than_an_ordinary_one(name: str, ordinary_s: float) -> None:
    assert len(BODIES[name]) <= LARGEST
    assert seconds(lambda: parse(BODIES[name])) < MOST * ordinary_s


@pytest.mark.parametrize("after", ["?key=", "?jwt=&", "#"])
@pytest.mark.parametrize("piece", ["a=1&", "&", ";", ";a=", "#", "-", "api-", "Key"])
def test_a_hostile_url_costs_little_more_than_an_ordinary_body(piece: str, after: str, ordinary_s: float) -> None:
    url = f"h{after}{piece * (LARGEST // len(piece))}=1"
    assert seconds(lambda: url_without_secrets(url)) < MOST * ordinary_s


@pytest.mark.parametrize("piece", ["-", "api-", "Key", "jwt"])
def test_a_hostile_name_of_a_header_costs_little_more_than_an_ordinary_body(piece: str, ordinary_s: float) -> None:
    headers = {f"x{piece * (LARGEST // len(piece))}x": 1}
    assert seconds(lambda: headers_without_secrets(headers)) < MOST * ordinary_s

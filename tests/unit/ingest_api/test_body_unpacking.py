"""Compressed bodies are unpacked whole, up to the limit and no further."""

import gzip
import zlib
from time import thread_time

import pytest

from ingest_api.http.body_unpacking import unpacked
from runtime.http_errors import ApiError


@pytest.mark.parametrize("coding", [b"", b"identity", b"gzip", b"x-gzip", b" GZip ", b"deflate"])
def test_a_body_of_the_limit_is_unpacked(coding: bytes) -> None:
    body = bytes(1000)
    packed = gzip.compress(body) if b"zip" in coding.lower() else zlib.compress(body) if coding == b"deflate" else body
    assert unpacked(packed, coding, 1000) == body
    if packed != body:
        with pytest.raises(ApiError, match="unpacks to more than 999 bytes") as caught:
            unpacked(packed, coding, 999)
        assert caught.value.status == 413


def test_several_members_are_one_body() -> None:
    assert unpacked(gzip.compress(b"one ") + gzip.compress(b"two"), b"gzip", 7) == b"one two"
    with pytest.raises(ApiError, match="unpacks to more than 6 bytes"):
        unpacked(gzip.compress(b"one ") + gzip.compress(b"two"), b"gzip", 6)


@pytest.mark.parametrize(
    "body", [gzip.compress(b"a" * 99)[:-1], b"plain", gzip.compress(b"a") + b"x", b"\x1f\x8b"], ids=range(4)
)
def test_a_broken_body_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="is not whole gzip data") as caught:
        unpacked(body, b"gzip", 1000)
    assert (caught.value.status, caught.value.param) == (400, "Content-Encoding")


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"\xff"])
def test_another_coding_is_refused(coding: bytes) -> None:
    with pytest.raises(ApiError, match="Content-Encoding must be gzip, deflate or left out"):
        unpacked(b"x", coding, 1000)


def test_many_members_and_bombs_cost_little() -> None:
    began = thread_time()
    with pytest.raises(ApiError, match="more than 100 members"):
        unpacked(gzip.compress(b"") * 200_000, b"gzip", 1000)
    with pytest.raises(ApiError, match="unpacks to more than"):
        unpacked(gzip.compress(bytes(100_000_000), 1), b"gzip", 1_000_000)
    assert thread_time() - began < 5

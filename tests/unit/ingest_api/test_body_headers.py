"""A body that its headers call something else than plain JSON is refused by the header's name."""

import pytest

from ingest_api.http.body_headers import check_body_headers
from runtime.http_errors import ApiError


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"application/json",
        b"Application/JSON ; charset=UTF-8",
        b'application/json; charset="utf8"',
        b"application/json;odd",
        b"application/problem+json",
    ],
)
@pytest.mark.parametrize("coding", [None, b"", b"identity"])
def test_json_is_taken_however_it_is_written_down(kind: bytes, coding: bytes | None) -> None:
    check_body_headers({b"content-type": kind} | ({} if coding is None else {b"content-encoding": coding}))


def test_what_says_nothing_is_taken_for_json() -> None:
    check_body_headers({})


@pytest.mark.parametrize(
    "kind",
    [
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/json; charset=utf-16",
        b"application/jsonp",
        b"text/html+json",
        b"json",
        b"\xff",
    ],
)
def test_another_type_is_refused_by_its_header(kind: bytes) -> None:
    with pytest.raises(ApiError, match="Content-Type must be application/json") as caught:
        check_body_headers({b"content-type": kind})
    assert (caught.value.status, caught.value.param) == (400, "Content-Type")


@pytest.mark.parametrize("coding", [b"gzip", b"br, gzip", b"GZIP", b"identity, gzip"])
def test_a_compressed_body_is_refused_by_its_header(coding: bytes) -> None:
    with pytest.raises(ApiError, match="not compressed") as caught:
        check_body_headers({b"content-encoding": coding})
    assert (caught.value.status, caught.value.param) == (400, "Content-Encoding")

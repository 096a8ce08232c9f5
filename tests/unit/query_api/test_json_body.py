"""A JSON body that is no event is read in little memory, since many may wait at a time."""

from collections.abc import Iterator

import pytest
from starlette.requests import Request

from query_api.json_body import MAX_BODY_BYTES, json_body
from runtime.http_errors import ApiError

PIECE = 16_384


def request_of(size: int, read: list[int]) -> Request:
    def pieces() -> Iterator[bytes]:
        text = b'{"a": "' + b"x" * (size - 9) + b'"}'
        for start in range(0, size, PIECE):
            read.append(start)
            yield text[start : start + PIECE]

    coming = pieces()

    async def receive() -> dict[str, object]:
        piece = next(coming, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_as_much_is_read_as_the_largest_order_needs_and_no_more() -> None:
    read: list[int] = []
    assert len((await json_body(request_of(MAX_BODY_BYTES, read)))["a"]) == MAX_BODY_BYTES - 9
    read.clear()
    with pytest.raises(ApiError, match="larger than 131072 bytes"):
        await json_body(request_of(10_000_000, read))
    assert max(read) <= MAX_BODY_BYTES + PIECE

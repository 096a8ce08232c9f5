"""The content encodings of ClickHouse's HTTP interface for whole bodies: lz4 and gzip.

clickhouse-connect speaks lz4, and every other client gzip. A client that asks for another encoding alone is answered
without one. A body in another is refused with a message that names these two.

Decodes every frame of a body (clients send one per block) and encodes a result in one call. Pure.
"""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import lz4.frame  # type: ignore[import-untyped]

# The order of preference for answers: on one machine, speed counts more than size.
ENCODINGS = ("lz4", "gzip")

_GZIP = 16 + zlib.MAX_WBITS
_FIRST_BYTES, _MOST_BYTES = 1 << 10, 1 << 22

MOST_BODY_BYTES = 1 << 30
"""The most bytes of a body, before and after decoding: a kilobyte may decode into a gigabyte, all of it in memory."""


class CodecError(ValueError):
    """The body cannot be decoded, or its encoding is not supported."""


def decode(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises CodecError."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "lz4":
                return _decode_frames(body, lz4.frame.LZ4FrameDecompressor)
            case "gzip":
                return _decode_frames(body, lambda: zlib.decompressobj(wbits=_GZIP))
    except CodecError:
        raise
    except Exception as error:  # each codec has its own error classes
        raise CodecError(f"the body is not valid {encoding}: {error}") from error
    raise CodecError(f"Content-Encoding {encoding!r} is not supported; use {' or '.join(ENCODINGS)}")


def encode(body: memoryview | bytes, encoding: str) -> bytes:
    """The body in one of ENCODINGS, at the fast level of the codec."""
    match encoding:
        case "lz4":
            return bytes(lz4.frame.compress(body))
        case "gzip":
            return gzip.compress(body, 1)
    raise CodecError(f"answers are not encoded as {encoding!r}")


def choose(accept_encoding: str) -> str | None:
    """The encoding of the answer for an Accept-Encoding header; None for no encoding."""
    offered = {
        name.strip().lower()
        for name, _, quality in (item.partition(";") for item in accept_encoding.split(","))
        if quality.replace(" ", "") not in ("q=0", "q=0.0")
    }
    return next((encoding for encoding in ENCODINGS if encoding in offered), None)


def _decode_frames(body: bytes, decompressor: Callable[[], Any]) -> bytes:
    """All frames of a body.

    A decompressor returns what follows its frame. So it gets a little data first, and twice as much each time: with all
    the data, each frame would copy all the rest.
    """
    decoded: list[bytes] = []
    at, room = 0, MOST_BODY_BYTES
    while at < len(body):
        frame, size = decompressor(), _FIRST_BYTES
        while not frame.eof:
            if at >= len(body):
                raise CodecError("the last frame is cut short")
            decoded.append(frame.decompress(memoryview(body)[at : at + size], room + 1))
            room -= len(decoded[-1])
            if room < 0:
                raise CodecError(f"the body decodes into more than {MOST_BODY_BYTES:,} bytes: send it in parts")
            at = min(at + size, len(body)) - len(frame.unused_data or b"")
            size = min(2 * size, _MOST_BYTES)
    return b"".join(decoded)

"""The content encodings of ClickHouse's HTTP interface, for whole bodies: gzip, deflate, lz4, zstd and br.

Decodes every frame of a body (clients send one per block) and encodes a result in one call. Pure.
"""

import gzip
import sys
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import lz4.frame  # type: ignore[import-untyped]

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

# The order of preference for answers: on one machine, speed counts more than size.
ENCODINGS = ("lz4", "zstd", "gzip", "deflate")

_GZIP = 16 + zlib.MAX_WBITS
_FIRST_BYTES, _MOST_BYTES = 1 << 10, 1 << 22


class CodecError(ValueError):
    """The body cannot be decoded, or its encoding is not spoken here."""


def decode(body: bytes, encoding: str) -> bytes:
    """The body without its Content-Encoding. Raises CodecError."""
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "lz4":
                return _decode_frames(body, lz4.frame.LZ4FrameDecompressor)
            case "zstd":
                return _decode_frames(body, zstd.ZstdDecompressor)
            case "gzip":
                return _decode_frames(body, lambda: zlib.decompressobj(wbits=_GZIP))
            case "deflate":
                return zlib.decompress(body)
            case "br":
                return bytes(import_module("brotli").decompress(body))
    except ImportError:
        raise CodecError("Content-Encoding br needs the brotli package; use lz4, zstd or gzip") from None
    except Exception as error:  # each codec has its own error classes
        raise CodecError(f"the body is not valid {encoding}: {error}") from error
    raise CodecError(f"Content-Encoding {encoding!r} is not supported; use {', '.join(ENCODINGS)} or br")


def encode(body: memoryview | bytes, encoding: str) -> bytes:
    """The body under one of ENCODINGS, at each codec's fast level."""
    match encoding:
        case "lz4":
            return bytes(lz4.frame.compress(body))
        case "zstd":
            return bytes(zstd.compress(body, 1))
        case "gzip":
            return gzip.compress(body, 1)
        case "deflate":
            return zlib.compress(body, 1)
    raise CodecError(f"answers are not encoded as {encoding!r}")


def choose(accept_encoding: str) -> str | None:
    """The encoding to answer in for an Accept-Encoding header, None for none of ours."""
    offered = {
        name.strip().lower()
        for name, _, quality in (item.partition(";") for item in accept_encoding.split(","))
        if quality.replace(" ", "") not in ("q=0", "q=0.0")
    }
    return next((encoding for encoding in ENCODINGS if encoding in offered), None)


def _decode_frames(body: bytes, decompressor: Callable[[], Any]) -> bytes:
    """All frames, one after the other.

    A decompressor hands back what follows its frame, so it is given little at first, and twice as much each time: to
    give it all would copy all that is left for every frame.
    """
    decoded: list[bytes] = []
    at = 0
    while at < len(body):
        frame, size = decompressor(), _FIRST_BYTES
        while not frame.eof:
            if at >= len(body):
                raise CodecError("the last frame is cut short")
            decoded.append(frame.decompress(memoryview(body)[at : at + size]))
            at = min(at + size, len(body)) - len(frame.unused_data or b"")
            size = min(2 * size, _MOST_BYTES)
    return b"".join(decoded)

"""Unpacks compressed bodies, and stops where they unpack to more than the limit. Pure."""

import zlib

from ingest_api.validation.json_limits import shown
from runtime.http_errors import ApiError

_EITHER = zlib.MAX_WBITS | 32
"""Tells gzip from deflate by the first bytes."""
_MOST_MEMBERS = 100
"""gzip allows several, one after another; each costs a copy of all that follow."""
_CODINGS = ("gzip", "x-gzip", "deflate")


def unpacked(body: bytes, coding: bytes, limit: int) -> bytes:
    """The body behind a `Content-Encoding`. ApiError 413 if it is larger than the limit, 400 if it cannot be read."""
    name = coding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _CODINGS:
        raise ApiError(
            f"Content-Encoding must be gzip, deflate or left out, got {shown(coding.decode('latin-1'))}",
            "Content-Encoding",
        )
    parts: list[bytes] = []
    size = 0
    while body:
        if len(parts) == _MOST_MEMBERS:
            raise ApiError(f"the body holds more than {_MOST_MEMBERS} members of {name}: send one", "Content-Encoding")
        stream = zlib.decompressobj(_EITHER)
        try:
            parts.append(stream.decompress(body, limit + 1 - size))
        except zlib.error:
            raise _broken(name) from None
        size += len(parts[-1])
        if size > limit:
            raise ApiError(f"the body unpacks to more than {limit} bytes: send it in parts", status=413)
        if not stream.eof:
            raise _broken(name)
        body = stream.unused_data
    return b"".join(parts)


def _broken(name: str) -> ApiError:
    return ApiError(f"the body is not whole {name} data, as Content-Encoding says it is", "Content-Encoding")

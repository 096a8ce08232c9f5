"""Buckets while no poll needs them: bytes, a third of the memory, from which each is made anew when one does.

`unpack(pack(bucket))` equals the bucket. A large one stays as it is, the very bucket that was given: a poll that adds
little to it would otherwise take it apart and put it together again as a whole.
"""

from typing import NamedTuple

import msgspec

from stream_workers.state import Bucket

LARGE = 256
"""Feedback, requests and traces from which on a bucket is not packed."""

_BYTES_EACH = 700

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Bucket).decode


class Whole(NamedTuple):
    """A bucket that is not packed, and how large it was when it was to be."""

    bucket: Bucket
    size: int


Packed = bytes | Whole


def pack(bucket: Bucket) -> Packed:
    """The bucket as it is to be kept."""
    size = bucket.size
    return Whole(bucket, size) if size >= LARGE else _encode(bucket)


def unpack(packed: Packed) -> Bucket:
    """The bucket that was packed."""
    return _decode(packed) if isinstance(packed, bytes) else packed.bucket


def bytes_of(packed: Packed) -> int:
    """About how much memory it takes."""
    return len(packed) if isinstance(packed, bytes) else packed.size * _BYTES_EACH

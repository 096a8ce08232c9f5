"""Buckets while no poll needs them: bytes, a fifth of the memory, from which each is made anew when one does.

`unpack(pack(bucket))` says what the bucket says, and `len(pack(bucket))` is about the bytes that it takes. A large one
stays as it is, the very bucket that was given: a poll that adds little to it would otherwise take it apart and put it
together again as a whole. Packed is MessagePack under LZ4, with the length of the former before it: feedback of one
trace is much alike.
"""

import msgspec
import pyarrow as pa

from stream_workers.state import Bucket

LARGE = 256
"""Feedback, requests and traces from which on a bucket is not packed."""

_BYTES_EACH = 700

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Bucket).decode
_lz4 = pa.Codec("lz4_raw")
_LENGTH_BYTES = 4


class Whole(msgspec.Struct, gc=False, frozen=True):
    """A bucket that is not packed, and how large it was when it was to be."""

    bucket: Bucket
    size: int

    def __len__(self) -> int:
        return self.size * _BYTES_EACH


Packed = bytes | Whole


def pack(bucket: Bucket) -> Packed:
    """The bucket as it is to be kept."""
    size = bucket.size
    if size >= LARGE:
        return Whole(bucket, size)
    whole = _encode(bucket)
    compressed: bytes = _lz4.compress(whole, asbytes=True)
    return len(whole).to_bytes(_LENGTH_BYTES) + compressed


def unpack(packed: Packed) -> Bucket:
    """The bucket that was packed."""
    if isinstance(packed, Whole):
        return packed.bucket
    length = int.from_bytes(packed[:_LENGTH_BYTES])
    return _decode(_lz4.decompress(packed[_LENGTH_BYTES:], length, asbytes=True))

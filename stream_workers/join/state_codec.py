"""Buckets while no poll needs them: bytes, a fifth of the memory, from which each is made anew when one does.

`unpack(pack(bucket))` says what the bucket says, and `len(pack(bucket))` is about the bytes that it takes. A large one
stays as it is, the very bucket that was given: a poll that adds little to it would otherwise take it apart and put it
together again as a whole. Packed is MessagePack, or that under LZ4 with its length before it: feedback of one trace is
much alike, so a trace with several becomes a third of it, and one with none or one little less.
"""

import msgspec
import pyarrow as pa

from stream_workers.join.trace_state import Bucket

LARGE = 256
"""Feedback, requests and traces from which on a bucket is not packed."""

_BYTES_EACH = 700

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Bucket).decode
_lz4 = pa.Codec("lz4_raw")
# No MessagePack begins with this byte.
_COMPRESSED = b"\xc1"
_LENGTH_BYTES = 4
_HEAD_BYTES = len(_COMPRESSED) + _LENGTH_BYTES


class Whole(msgspec.Struct, gc=False, frozen=True):
    """A bucket that is not packed, and how large it was when it was to be."""

    bucket: Bucket
    size: int

    def __len__(self) -> int:
        return self.size * _BYTES_EACH


Packed = bytes | Whole


def pack(bucket: Bucket, compress_from: int) -> Packed:
    """The bucket as it is to be kept, compressed if it has so many bytes."""
    size = bucket.size
    if size >= LARGE:
        return Whole(bucket, size)
    whole: bytes = _encode(bucket)
    if len(whole) < compress_from:
        return whole
    compressed: bytes = _lz4.compress(whole, asbytes=True)
    return _COMPRESSED + len(whole).to_bytes(_LENGTH_BYTES) + compressed


def unpack(packed: Packed) -> Bucket:
    """The bucket that was packed."""
    if isinstance(packed, Whole):
        return packed.bucket
    if packed[:1] != _COMPRESSED:
        return _decode(packed)
    length = int.from_bytes(packed[1:_HEAD_BYTES])
    return _decode(_lz4.decompress(packed[_HEAD_BYTES:], length, asbytes=True))

"""Encodes the states of trace hashes while no consumer batch needs them, in a fifth of the memory.

`decode_state(encode_state(bucket))` equals the bucket, and the `len` of an encoded state is about the bytes it takes. A
large bucket is not encoded but kept as the same object: a batch that adds little to it would otherwise decode and
encode all of it.

The encoding is MessagePack, or LZ4 of MessagePack with the length before it. Feedback of one trace is much alike, so
LZ4 makes a trace with several feedbacks a third as large; a trace with one or none becomes only a little smaller.
"""

import msgspec
import pyarrow as pa

from stream_workers.join.trace_state import HashBucket

LARGE = 256
"""So many feedbacks, requests and traces together make a bucket large: it is not encoded."""

_BYTES_EACH = 700

_encode = msgspec.msgpack.Encoder().encode
_decode_bucket = msgspec.msgpack.Decoder(HashBucket).decode
_lz4 = pa.Codec("lz4_raw")
# No MessagePack begins with this byte.
_COMPRESSED = b"\xc1"
_LENGTH_BYTES = 4
_HEAD_BYTES = len(_COMPRESSED) + _LENGTH_BYTES


class LargeState(msgspec.Struct, gc=False, frozen=True):
    """A large bucket, kept as the same object, and its size when it was kept."""

    bucket: HashBucket
    size: int

    def __len__(self) -> int:
        return self.size * _BYTES_EACH


EncodedState = bytes | LargeState
"""A bucket as the cache keeps it."""


def encode_state(bucket: HashBucket, compress_from: int) -> EncodedState:
    """The encoded state of a bucket, compressed if it has at least `compress_from` bytes."""
    size = bucket.size
    if size >= LARGE:
        return LargeState(bucket, size)
    whole: bytes = _encode(bucket)
    if len(whole) < compress_from:
        return whole
    compressed: bytes = _lz4.compress(whole, asbytes=True)
    return _COMPRESSED + len(whole).to_bytes(_LENGTH_BYTES) + compressed


def decode_state(encoded: EncodedState) -> HashBucket:
    """The bucket of an encoded state."""
    if isinstance(encoded, LargeState):
        return encoded.bucket
    if encoded[:1] != _COMPRESSED:
        return _decode_bucket(encoded)
    length = int.from_bytes(encoded[1:_HEAD_BYTES])
    return _decode_bucket(_lz4.decompress(encoded[_HEAD_BYTES:], length, asbytes=True))

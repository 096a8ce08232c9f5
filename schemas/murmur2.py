"""The 32-bit murmur2 of Kafka's default partitioner (Java client, `Utils.murmur2`), for one key and for many.

In pure Python one key takes some microseconds. So `murmur2_all` hashes keys of one length side by side: each key has 64
bits of one long integer, in which a 32-bit product cannot reach the next key, so one multiplication of long integers
serves all keys.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from struct import Struct

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK_32 = 0xFFFFFFFF

# For fewer keys, hashing them one by one is faster.
_WORTH_WHILE = 6
_MOST_SIDE_BY_SIDE = 1024


def murmur2(data: bytes) -> int:
    """The unsigned hash of one key."""
    length = len(data)
    h = _SEED ^ length
    for k in _words(length >> 2)(data):
        k = k * _M & _MASK_32
        h = (h * _M ^ (k ^ k >> 24) * _M) & _MASK_32
    if length & 3:
        h = (h ^ int.from_bytes(data[length & ~3 :], "little")) * _M & _MASK_32
    h = (h ^ h >> 13) * _M & _MASK_32
    return h ^ h >> 15


def murmur2_all(keys: Sequence[bytes]) -> list[int]:
    """The unsigned hash of each key, in order."""
    if len(keys) < _WORTH_WHILE:
        return [murmur2(key) for key in keys]
    places: dict[int, list[int]] = defaultdict(list)
    for place, length in enumerate(map(len, keys)):
        places[length].append(place)
    if len(places) == 1:
        return _side_by_side(keys)
    hashes = [0] * len(keys)
    for same in places.values():
        group = [keys[place] for place in same]
        found = _side_by_side(group) if len(group) >= _WORTH_WHILE else map(murmur2, group)
        for place, h in zip(same, found, strict=True):
            hashes[place] = h
    return hashes


def _side_by_side(keys: Sequence[bytes]) -> list[int]:
    """The hashes of keys of the same length."""
    if len(keys) > _MOST_SIDE_BY_SIDE:
        parts = (keys[start : start + _MOST_SIDE_BY_SIDE] for start in range(0, len(keys), _MOST_SIDE_BY_SIDE))
        return [h for part in parts for h in _side_by_side(part)]
    count, length = len(keys), len(keys[0])
    ones = _ones(count)
    low_32, low_19, low_17, low_8 = (ones * mask for mask in (_MASK_32, _MASK_32 >> 13, _MASK_32 >> 15, 0xFF))
    filling = bytes(-length & 3)
    words = array("I", b"".join([key + filling for key in keys]) if filling else b"".join(keys))
    stride = length + 3 >> 2
    lanes = array("I", bytes(8 * count))
    h = ones * (_SEED ^ length)
    for number in range(stride):
        lanes[::2] = words[number::stride]
        k = int.from_bytes(lanes.tobytes(), "little")
        if 4 * number + 4 > length:
            h = (h ^ k) * _M & low_32
        else:
            k = k * _M & low_32
            k = (k ^ k >> 24 & low_8) * _M & low_32
            h = (h * _M & low_32) ^ k
    h = (h ^ h >> 13 & low_19) * _M & low_32
    h ^= h >> 15 & low_17
    return array("Q", h.to_bytes(8 * count, "little")).tolist()


@lru_cache(maxsize=1024)
def _ones(count: int) -> int:
    return int.from_bytes(b"\1\0\0\0\0\0\0\0" * count, "little")


@cache
def _words(count: int) -> Callable[[bytes], tuple[int, ...]]:
    return Struct(f"<{count}I").unpack_from

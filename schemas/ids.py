"""The trace key, its hash and its partition, and the ids of feedback and requests.

An id is a UUID of version 8 that contains the hash of its trace key. So an update or a delete, which has only the id,
reaches the partition of its create without a look-up:

    milliseconds (48) · version 8 (4) · chance (12) · variant (2) · chance (14) · trace hash (32) · chance (16 bits)

The hash is in the first eight hex digits of the last group. The other bits of an idempotent id come from a digest of
the caller's key instead of the clock and chance, so the same key always gives the same id.
"""

import hashlib
import os
import re
import struct
from collections.abc import Sequence
from itertools import chain, repeat
from uuid import RFC_4122, UUID

_MASK_32 = 0xFFFFFFFF
_W3C = re.compile("[0-9a-fA-F]{32}")
_TEXT = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Sets the two bits of the variant in any byte.
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))
# For fewer ids, making them one by one is faster.
_WORTH_WHILE = 4


def _more_chance(_: None) -> tuple[int, ...]:
    return struct.unpack("<512Q", os.urandom(4096))


# An endless stream of 64-bit numbers. Many are read from the system at once: a call costs as much as an id.
_chances = chain.from_iterable(map(_more_chance, repeat(None)))


def trace_key(workspace: str, trace_id: str) -> bytes:
    """The Kafka key of everything on one trace. A workspace has no slash, so two traces never have the same key."""
    return f"{workspace}/{trace_id}".encode()


def canonical_trace_id(trace_id: str) -> str:
    """The trace id; one of W3C's and OpenTelemetry's, 32 hexadecimal digits, in lower case, as these have it."""
    return trace_id.lower() if len(trace_id) == 32 and _W3C.fullmatch(trace_id) else trace_id


def partition_of(trace_hash: int, partitions: int) -> int:
    """The partition that Kafka's default partitioner chooses for a key with this murmur2."""
    return (trace_hash & 0x7FFFFFFF) % partitions


def new_id(trace_hash: int, at_ms: int) -> UUID:
    """A new id on the trace with this hash. Ids sort by `at_ms` (Unix milliseconds)."""
    return UUID(new_ids([trace_hash], at_ms)[0])


def new_ids(trace_hashes: Sequence[int], at_ms: int) -> list[str]:
    """New ids as text, one on each of the traces with these hashes, in order.

    Many are made at once: bytes 6 to 15 of all ids lie side by side.
    """
    count = len(trace_hashes)
    head = f"{at_ms >> 16 & _MASK_32:08x}-{at_ms & 0xFFFF:04x}-8"
    if count < _WORTH_WHILE:
        return [head + _tail(trace_hash, next(_chances)) for trace_hash in trace_hashes]
    tails = bytearray(os.urandom(10 * count))
    hashes = struct.pack(f">{count}I", *trace_hashes)
    tails[2::10] = tails[2::10].translate(_VARIANT)
    for place in range(4):
        tails[4 + place :: 10] = hashes[place::4]
    text = tails.hex()
    return [
        f"{head}{text[start + 1 : start + 4]}-{text[start + 4 : start + 8]}-{text[start + 8 : start + 20]}"
        for start in range(0, 20 * count, 20)
    ]


def _tail(trace_hash: int, chance: int) -> str:
    return f"{chance & 0xFFF:03x}-{0x8000 | chance >> 12 & 0x3FFF:04x}-{trace_hash << 16 | chance >> 26 & 0xFFFF:012x}"


def idempotent_id(trace_hash: int, workspace: str, idempotency_key: str, position: int = 0) -> UUID:
    """The id for this idempotency key, at this position of a bulk call, in this workspace and trace."""
    text = f"{len(workspace)}:{workspace}:{len(idempotency_key)}:{idempotency_key}:{position}"
    return _id_of(trace_hash, text)


def vote_id(trace_hash: int, workspace: str, trace_id: str, voter: str, name: str = "") -> UUID:
    """The id of a voter's vote on a trace: one, or one for each `name`.

    No idempotency key gives the same id, for those begin with a digit.
    """
    parts = (workspace, trace_id, voter, name)
    return _id_of(trace_hash, "vote:" + "".join(f"{len(each)}:{each}" for each in parts))


def _id_of(trace_hash: int, text: str) -> UUID:
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:12], "big")
    head, chance = (digest >> 42) & 0xFFFFFFFFFFFF, digest & ((1 << 42) - 1)
    return UUID(
        int=head << 80
        | 0x8 << 76
        | (chance >> 30) << 64
        | 0b10 << 62
        | ((chance >> 16) & 0x3FFF) << 48
        | trace_hash << 16
        | (chance & 0xFFFF)
    )


def trace_hash_of(identity: UUID) -> int:
    """The trace hash in an id."""
    return (identity.int >> 16) & _MASK_32


def id_in(text: str) -> UUID | None:
    """The id in a text; None if the text does not have exactly the form of an id."""
    return UUID(text) if _TEXT.fullmatch(text) else None


def is_ours(identity: UUID) -> bool:
    """Whether it has the form of ids that are made here; it may never have been given."""
    return identity.version == 8 and identity.variant == RFC_4122

"""What an `Idempotency-Key` stands for: one call, told from others by the digest of all it sends.

An edge remembers the keys it has seen lately and refuses one that comes with another body. What it cannot know, from
another edge or from before it was started, the workers find: there the later call ends in the dead letters. A key
stands for the first valid body that came with it, also where Kafka did not take that call.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from ingest_api.headers import text_of
from runtime.http_errors import ApiError

MAX_KEY_CHARS = 255

_DIGEST_BYTES = 16


class Claim(NamedTuple):
    """A call's key in its workspace, and the digest of what it sends."""

    workspace: str
    key: str
    digest: str


def key_in(headers: Mapping[bytes, bytes]) -> str | None:
    """The key that a call comes under, if any; ApiError where it is too long."""
    key = text_of(headers, b"idempotency-key")
    if key is not None and len(key) > MAX_KEY_CHARS:
        raise ApiError(
            f"Idempotency-Key must have at most {MAX_KEY_CHARS} characters, got {len(key)}", "Idempotency-Key"
        )
    return key


def digest(items: Iterable[Any]) -> str:
    """32 hex digits that are the same for the same items, whatever the order of keys and the space between."""
    items = list(items)
    try:
        canonical = orjson.dumps(items, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        canonical = json.dumps(items, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.blake2b(canonical, digest_size=_DIGEST_BYTES).hexdigest()


class KeyMemory:
    """The latest keys, at most `capacity` of them, with their digests."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._digests: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._digests)

    def take(self, claim: Claim) -> None:
        """Remember the claim; ApiError 409 where its key is known to stand for another body."""
        place = (claim.workspace, claim.key)
        if self._digests.setdefault(place, claim.digest) != claim.digest:
            raise ApiError(
                "this Idempotency-Key was used before with another body: use a new key for a new call, and the same"
                " body to repeat one",
                "Idempotency-Key",
                409,
            )
        self._digests.move_to_end(place)
        if len(self._digests) > self._capacity:
            self._digests.popitem(last=False)

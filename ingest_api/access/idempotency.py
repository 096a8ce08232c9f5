"""Idempotency keys: each identifies one call, by the digest of everything the call sends.

An edge caches the keys that it has seen lately, and refuses one that comes with another body. It cannot know keys of
another edge or from before its start; there the workers find the conflict, and the later call ends in the dead letters.
A key belongs to the first valid body that came with it, even if Kafka did not take that call.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from runtime.http_errors import ApiError
from runtime.trace_headers import text_of
from schemas.limits import MOST_KEY_CHARS

_DIGEST_BYTES = 16


class Claim(NamedTuple):
    """A workspace, an idempotency key, and the digest of the call that claims the key."""

    workspace: str
    key: str
    digest: str


def key_in(headers: Mapping[bytes, bytes]) -> str | None:
    """The idempotency key of a call, or None; ApiError if it is too long."""
    key = text_of(headers, b"idempotency-key")
    if key is not None and len(key) > MOST_KEY_CHARS:
        raise ApiError(
            f"Idempotency-Key must have at most {MOST_KEY_CHARS} characters, got {len(key)}", "Idempotency-Key"
        )
    return key


def digest(items: Iterable[Any]) -> str:
    """32 hex digits that are equal for equal items, whatever the order of their keys and the space between them."""
    canonical = msgspec.json.encode(list(items), order="sorted")
    return hashlib.blake2b(canonical, digest_size=_DIGEST_BYTES).hexdigest()


class IdempotencyKeyCache:
    """The latest idempotency keys with their digests, at most `capacity` of them."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._digests: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._digests)

    def take(self, claim: Claim) -> None:
        """Store the claim; ApiError 409 if its key is known to belong to another body."""
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

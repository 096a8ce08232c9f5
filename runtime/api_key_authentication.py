"""Authentication of callers by the API key in their headers.

Pure; the time is a parameter. Nobody is let in while the keys are not known: before their source (Kafka or ClickHouse)
has been read once, and again when it has not been read for `STALE_AFTER_MS`. Callers need no key only when every source
of this process has been read and nothing in the store closes the server; even then a key that is not known is refused.
The programs read the keys and put them into the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.api_key_store import ApiKeyStore
from runtime.http_errors import ApiError, retry_after
from runtime.request_headers import BEARER_HEADER, KEY_HEADER
from runtime.times import to_the_minute
from schemas.api_keys import ApiKey, presented_key
from schemas.key_scopes import ADMIN, SCOPES, Scope

STALE_AFTER_MS = 60_000

_KEY_PREFIX = b"fbk_"
# Header values that have been verified; beyond this number the cache is emptied.
_MOST_VERIFIED = 10_000


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated caller, confined to `workspace`. `key_id` is empty while the server is open."""

    workspace: str
    scopes: frozenset[Scope]
    key_id: str = ""
    expires_ms: float = float("inf")
    rate_limit_per_s: int = 0
    read_rate_limit_per_s: int = 0


OPEN = Caller("default", frozenset(SCOPES))
"""Every caller while the server is open."""


class ApiKeyAuthenticator:
    """Authenticates callers against the keys of a store. `source` names where these keys are read from."""

    def __init__(self, source: str, store: ApiKeyStore | None = None) -> None:
        self._source = source
        self.store = ApiKeyStore() if store is None else store
        self.store.unread.add(source)
        self._verified: dict[bytes, Caller] = {}
        self._verified_at_change = 0
        self._fresh_ms: int | None = None
        self._good_until_ms = -1

    def mark_fresh(self, now_ms: int) -> None:
        """Note that at this moment the store had all keys of the source."""
        self.store.unread.discard(self._source)
        self._fresh_ms = now_ms
        self._good_until_ms = now_ms + STALE_AFTER_MS

    def fault(self, now_ms: int) -> str:
        """Why callers cannot be authenticated now, in a sentence; empty when they can."""
        if now_ms <= self._good_until_ms:
            if self.store.unread and not self.store.is_closed:
                return f"whether there are API keys is not known: {min(self.store.unread)} has not been read yet"
            return ""
        if self._fresh_ms is None:
            return f"the API keys have not been read from {self._source} yet"
        return f"the API keys have not been read from {self._source} for {(now_ms - self._fresh_ms) // 1000} s"

    def authenticate(self, headers: Mapping[bytes, bytes], scope: Scope | None, now_ms: int) -> Caller:
        """The caller, if the headers (names in lower case) allow the scope; None: any scope.

        ApiError 400, 401 or 403 where they do not; 503 while the keys are not known.
        """
        store = self.store
        if now_ms > self._good_until_ms or (store.unread and not store.is_closed):
            raise ApiError(self.fault(now_ms), status=503, headers=retry_after())
        value, bearer = headers.get(KEY_HEADER), headers.get(BEARER_HEADER)
        if value and bearer:
            _refuse_two_keys(value, bearer)
        if not store.is_closed:
            _refuse_unknown_key(store, value or bearer)
            return OPEN
        value = value or bearer
        if self._verified_at_change != store.changes:
            self._verified, self._verified_at_change = {}, store.changes
        caller = self._verified.get(value) if value else None
        if caller is None or now_ms >= caller.expires_ms:
            caller = self._verify(headers, value, now_ms)
        if scope is not None and scope not in caller.scopes:
            raise ApiError(
                f"the API key {caller.key_id} lacks the scope {scope}: it has {', '.join(sorted(caller.scopes))}",
                _header_of(headers),
                403,
            )
        return caller

    def _verify(self, headers: Mapping[bytes, bytes], value: bytes | None, now_ms: int) -> Caller:
        param = _header_of(headers)
        if not value:
            raise _unauthenticated(
                "an API key is needed: send it as `x-portkey-api-key: KEY` or `Authorization: Bearer KEY`;"
                " `feedback keys create` makes one",
                param,
            )
        given = presented_key(value)
        if given is None:
            raise _unauthenticated(_no_key(value), param)
        key = self.store.get(given.key_id)
        if key is None or not key.fits(given.secret):
            raise _unauthenticated(f"no API key {given.key_id} with this secret is known here", param)
        if ended := how_ended(key, now_ms):
            raise _unauthenticated(f"the API key {key.key_id} {ended}", param)
        caller = Caller(
            key.workspace,
            frozenset(SCOPES if ADMIN in key.scopes else key.scopes),
            key.key_id,
            key.expires_at.timestamp() * 1000 if key.expires_at else float("inf"),
            key.rate_limit_per_s,
            key.read_rate_limit_per_s,
        )
        if len(self._verified) >= _MOST_VERIFIED:
            self._verified = {}
        self._verified[value] = caller
        return caller


def how_ended(key: ApiKey, now_ms: int) -> str:
    """How a key has ended, as in `was revoked at 2026-01-31T12:00Z`; empty while it is valid."""
    if key.revoked_at:
        return f"was revoked at {to_the_minute(key.revoked_at)}"
    if key.expires_at and now_ms >= key.expires_at.timestamp() * 1000:
        return f"expired at {to_the_minute(key.expires_at)}"
    return ""


def _refuse_unknown_key(store: ApiKeyStore, value: bytes | None) -> None:
    """Refuse a key that an open server does not know. It may be the first key, made a moment ago: it closes the server
    as soon as it is known here, and what it publishes belongs into its own workspace."""
    given = presented_key(value) if value and _KEY_PREFIX in value else None
    if given is not None and store.get(given.key_id) is None:
        raise _unauthenticated(
            f"no API key {given.key_id} is known here: a new key is known within seconds, and while there is none"
            " a call needs none",
            KEY_HEADER.decode(),
        )


def _refuse_two_keys(value: bytes, bearer: bytes) -> None:
    # Authorization may carry the key of an AI provider, which is none of this server's.
    other = presented_key(bearer)
    if other is not None and other != presented_key(value):
        raise ApiError(
            "x-portkey-api-key and Authorization hold different API keys: send one of them", KEY_HEADER.decode()
        )


def _no_key(value: bytes) -> str:
    if value.rpartition(b" ")[2].startswith(b"fbt_"):
        return "this is a vote token, which opens /v1/feedback/vote alone: API keys begin with fbk_"
    return "this is not an API key of this server, whose keys begin with fbk_"


def _unauthenticated(message: str, param: str) -> ApiError:
    return ApiError(message, param, 401, [(b"www-authenticate", b"Bearer")])


def _header_of(headers: Mapping[bytes, bytes]) -> str:
    """The header that a key was looked for in."""
    other = not headers.get(KEY_HEADER) and headers.get(BEARER_HEADER)
    return (BEARER_HEADER if other else KEY_HEADER).decode()

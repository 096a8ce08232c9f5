"""All API keys that a process knows, from every source, and whether they close the server.

Pure. The publishing and the reading half of the API share one store, so they always agree. Records only accumulate: a
key in any source is known, a revocation in any source wins, and a server that was closed once stays closed, whatever
the order of the records and whatever a source loses. Only an operator opens the server again (`feedback keys open`):
that marks the record of each key as left behind.
"""

from collections.abc import Callable, Collection

from schemas.api_keys import ApiKey

OnChange = Callable[[bool], None]


class ApiKeyStore:
    """The keys. `require_keys` closes the server whatever keys there are."""

    def __init__(self, require_keys: bool = False) -> None:
        self._require_keys = require_keys
        self.unread: set[str] = set()
        """Names of sources that have not been read to their end yet."""
        self._keys: dict[str, ApiKey] = {}
        self._closing: set[str] = set()
        self._left_behind: set[str] = set()
        self._unreadable = False
        # Ids that were left behind when the server was closed, from the file that remembers it; None: there is no file.
        self._closed_after: frozenset[str] | None = None
        self._on_change: list[OnChange] = []
        self._closed_by_keys = False
        self.is_closed = require_keys
        """Whether every call needs a key."""
        self.changes = 0
        """How often the store has changed: what was derived from it before is to be derived again."""

    @property
    def count(self) -> int:
        """How many keys are known."""
        return len(self._keys)

    @property
    def is_open(self) -> bool:
        """Whether callers need no key: every source has been read, and nothing closes the server."""
        return not self.is_closed and not self.unread

    @property
    def left_behind(self) -> frozenset[str]:
        """Ids of the keys that an operator left behind by opening the server."""
        return frozenset(self._left_behind)

    def get(self, key_id: str) -> ApiKey | None:
        """The key of this id."""
        return self._keys.get(key_id)

    def upsert(self, key: ApiKey) -> None:
        """Add a key, or what has happened to it: it was revoked, or left behind."""
        known = self._keys.get(key.key_id)
        if known is not None and known.stage >= key.stage:
            return
        self._keys[key.key_id] = key
        if key.reopened_at is None:
            self._closing.add(key.key_id)
        else:
            self._closing.discard(key.key_id)
            self._left_behind.add(key.key_id)
        self._update()

    def close(self) -> None:
        """Close the server because a record of a key cannot be read."""
        self._unreadable = True
        self._update()

    def close_after(self, left_behind: Collection[str]) -> None:
        """Close the server as it was closed when these keys had been left behind; only a later opening opens it."""
        self._closed_after = frozenset(left_behind)
        self._update()

    def on_change(self, call: OnChange) -> None:
        """Call this with whether keys close the server, each time that this changes."""
        self._on_change.append(call)

    def _update(self) -> None:
        self.changes += 1
        recorded = self._closed_after is not None and self._left_behind <= self._closed_after
        closed = self._unreadable or bool(self._closing) or recorded
        if closed != self._closed_by_keys:
            self._closed_by_keys = closed
            self.is_closed = closed or self._require_keys
            for call in self._on_change:
                call(closed)

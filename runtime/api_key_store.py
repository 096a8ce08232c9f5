"""All API keys that a process knows, from every place they are read from, and whether they close the server.

Pure. Both halves of the API share one, so they have one opinion. Whatever is learned only adds up: a key that is known
anywhere is known, a revocation anywhere wins, and what closes the server once keeps it closed, in whatever order things
are learned and whatever is lost elsewhere. Only an operator opens it again (`feedback keys open`), by a mark on the
record of each key, which says that the key is left behind.
"""

from collections.abc import Callable, Collection

from schemas.api_keys import ApiKey

Opinion = Callable[[bool], None]


class ApiKeyStore:
    """The keys. `require_keys` closes the server whatever is known.

    `follow` is called with whether keys close the server, each time that this has changed.
    """

    def __init__(self, require_keys: bool = False) -> None:
        self._require_keys = require_keys
        self.unread: set[str] = set()
        """Places of keys that have not been read to their end yet, by name."""
        self._keys: dict[str, ApiKey] = {}
        self._closing: set[str] = set()
        self._left_behind: set[str] = set()
        self._unreadable = False
        # What had been left behind when the server was closed, by a record that outlives the keys; None: no record.
        self._closed_after: frozenset[str] | None = None
        self._followers: list[Opinion] = []
        self._closed_by_keys = False
        self.is_closed = require_keys
        """Whether every call needs a key."""
        self.changes = 0
        """How often something was learned: what was concluded before is to be concluded anew."""

    @property
    def count(self) -> int:
        """How many keys are known."""
        return len(self._keys)

    @property
    def is_open(self) -> bool:
        """Whether callers need no key: every place has been read, and nothing closes the server."""
        return not self.is_closed and not self.unread

    @property
    def left_behind(self) -> frozenset[str]:
        """Ids of keys that an operator has left behind, opening the server."""
        return frozenset(self._left_behind)

    def get(self, key_id: str) -> ApiKey | None:
        """The key of this id."""
        return self._keys.get(key_id)

    def learn(self, key: ApiKey) -> None:
        """Know this key from now on, or that it is revoked, or left behind."""
        known = self._keys.get(key.key_id)
        if known is not None and known.stage >= key.stage:
            return
        self._keys[key.key_id] = key
        if key.reopened_at is None:
            self._closing.add(key.key_id)
        else:
            self._closing.discard(key.key_id)
            self._left_behind.add(key.key_id)
        self._judge()

    def close(self) -> None:
        """Let in nobody without a key: there is something that cannot be read."""
        self._unreadable = True
        self._judge()

    def close_after(self, left_behind: Collection[str]) -> None:
        """The server was closed when these had been left behind; only a later opening opens it."""
        self._closed_after = frozenset(left_behind)
        self._judge()

    def follow(self, follower: Opinion) -> None:
        """Call this each time that keys begin or cease to close the server."""
        self._followers.append(follower)

    def _judge(self) -> None:
        self.changes += 1
        recorded = self._closed_after is not None and self._left_behind <= self._closed_after
        closed = self._unreadable or bool(self._closing) or recorded
        if closed != self._closed_by_keys:
            self._closed_by_keys = closed
            self.is_closed = closed or self._require_keys
            for follower in self._followers:
                follower(closed)

"""A bound on the memory that the bodies of all calls take together, from their first bytes until they are answered.

A body is bounded, and so is the number of connections, but not their product: clients that send slowly could have an
edge hold gigabytes. Only large bodies count, so that the small ones of nearly all calls are taken however many large
ones wait.
"""

from runtime.http_errors import ApiError, retry_after

LARGE_BYTES = 65_536


class BodyRoom:
    """How much of large bodies is held now, and the most that may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so much more. ApiError 503 where there is no room for it."""
        if self.held + size > self._most:
            raise ApiError(
                "nothing was stored: other large calls are being received, and there is no room for this one; try"
                " again later, or send it in parts",
                status=503,
                headers=retry_after(),
                reason="other",
            )
        self.held += size


class HeldBody:
    """What one call holds of the room."""

    __slots__ = ("_room", "_taken")

    def __init__(self, room: BodyRoom) -> None:
        self._room, self._taken = room, 0

    def grow_to(self, size: int) -> None:
        """The body has so many bytes now. ApiError 503 where there is no room for it."""
        if size > LARGE_BYTES:
            self._room.take(size - self._taken)
            self._taken = size

    def release(self) -> None:
        """The call is answered, or nobody waits for that."""
        self._room.held -= self._taken
        self._taken = 0

"""Places for exports that run at once, given to the workspaces that wait in turn."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """So many places. A free one goes to who holds the fewest, of several to the one that was served longest ago."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @asynccontextmanager
    async def place(self, workspace: str) -> AsyncIterator[None]:
        """Hold a place, once it is this workspace's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(workspace, deque()).append(turn)
        self._give()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._free += 1
                self._held[workspace] -= 1
                self._held += Counter()  # forgets who holds none
            self._give()

    def _give(self) -> None:
        while self._free and (workspace := self._next()) is not None:
            turn = self._waiting[workspace].popleft()
            waiting = self._waiting.pop(workspace)
            if waiting:
                self._waiting[workspace] = waiting  # behind all others
            if not turn.cancelled():
                turn.set_result(None)
                self._held[workspace] += 1
                self._free -= 1

    def _next(self) -> str | None:
        return min(self._waiting, key=lambda workspace: self._held[workspace], default=None)

"""Shares an answer of the API between viewers who ask for the same list at nearly the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class _Answer:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    at: float | None = None
    value: Any = None


class SharedAnswers:
    """A cache that keeps answers for `keep_s` seconds. A key must contain all it depends on, and who may see it."""

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s, self._clock = keep_s, clock
        self._answers: dict[Hashable, _Answer] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The cached answer of this key, or a new one. Failures are not cached."""
        self._forget()
        answer = self._answers.setdefault(key, _Answer())
        async with answer.lock:
            if answer.at is None or self._is_old(answer.at):
                answer.value = await ask()
                answer.at = self._clock()
            return answer.value

    def _forget(self) -> None:
        old = [
            key
            for key, each in self._answers.items()
            if not each.lock.locked() and (each.at is None or self._is_old(each.at))
        ]
        for key in old:
            del self._answers[key]

    def _is_old(self, at: float) -> bool:
        return self._clock() - at >= self._keep_s

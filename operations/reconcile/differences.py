"""The differences that a comparison finds, and its scope."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import islice

Pause = Callable[[], None]
"""Waits before differences are checked again, so that unfinished work does not count as a fault."""
_SHOWN = 3


@dataclass(frozen=True)
class Scope:
    """What is compared: feedback of one workspace or all, created from `since` to before `until` (Unix seconds)."""

    workspace: str | None = None
    since: int = 0
    until: int = 2**32 - 1

    @property
    def is_all_time(self) -> bool:
        return (self.since, self.until) == (0, 2**32 - 1)

    def holds(self, workspace: str, created_at_ms: int) -> bool:
        return self.workspace in (None, workspace) and self.since * 1000 <= created_at_ms < self.until * 1000

    def condition(self, time: str | None) -> str:
        """The scope as an SQL condition; `time` is the column that the times apply to, None: they do not apply."""
        bounds = [] if self.workspace is None else ["workspace = {workspace:String}"]
        if time is not None and not self.is_all_time:
            bounds += [f"{time} >= toDateTime({self.since}, 'UTC')", f"{time} < toDateTime({self.until}, 'UTC')"]
        return " AND ".join(bounds) or "1"

    @property
    def parameters(self) -> dict[str, str]:
        return {} if self.workspace is None else {"workspace": self.workspace}


@dataclass
class RowDifference:
    """One kind of difference: the table, how many rows, and some of their keys."""

    what: str
    keys: list[str] = field(default_factory=list)
    number: int = 0

    def add(self, keys: Collection[str]) -> None:
        self.number += len(keys)
        self.keys += islice(keys, max(0, _SHOWN - len(self.keys)))

    def __str__(self) -> str:
        shown = ", ".join(self.keys) + (", …" if self.number > len(self.keys) else "")
        return f"{self.number:>9,}  {self.what}: {shown}"

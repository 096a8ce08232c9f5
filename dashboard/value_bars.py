"""The bars of the distribution of values from −10 to 10. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

VALUES = range(-10, 11)


@dataclass(frozen=True)
class ValueBar:
    """One value, its count, and the height of its bar in percent of the highest."""

    value: int
    count: int
    height: float


def value_bars(points: Iterable[Mapping[str, Any]]) -> list[ValueBar]:
    """A bar for each value, also for values without feedback."""
    counts = {point["score"]: point["total"] for point in points}
    most = max(counts.values(), default=0)
    return [ValueBar(value, count := counts.get(value, 0), 100 * count / most if most else 0) for value in VALUES]

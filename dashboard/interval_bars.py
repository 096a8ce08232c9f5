"""Means with their intervals as bars on one scale, in percent of the width. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_LEAST_WIDTH = 1.0
_MARGIN = 0.04


@dataclass(frozen=True)
class Scale:
    """The range of the numbers of several bars. It always contains 0."""

    low: float
    high: float

    def at(self, number: float) -> float:
        """The position of a number in percent from the left; numbers beyond the range are at its ends."""
        share = (number - self.low) / (self.high - self.low)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    @property
    def zero(self) -> float:
        """The position of 0."""
        return self.at(0)


def scale_of(means: Iterable[Mapping[str, Any]], name: str = "weighted_mean") -> Scale:
    """A scale with room for these means and their intervals."""
    shown = [*means]
    numbers = [each[key] for each in shown for key in (name, f"{name}_low", f"{name}_high") if each[key] is not None]
    # An interval from two or three feedbacks exceeds the possible values.
    low, high = max(min(numbers, default=0.0), -10.0), min(max(numbers, default=0.0), 10.0)
    low, high = min(low, 0.0), max(high, 0.0)
    room = max(high - low, _LEAST_WIDTH) * _MARGIN
    return Scale(low - room, max(high, low + _LEAST_WIDTH) + room)

"""The numbers of one trace: exact sums that can be added to and taken from.

How often each value stands is counted, which gives the extremes. Weights are whole billionths, so every sum is an
integer and the order of events cannot show in it: taking a feedback out restores the very numbers from before.
"""

from dataclasses import dataclass, field

BILLION = 1_000_000_000


def billionths(weight: float) -> int:
    """A weight in whole billionths, the resolution in which weights are stored."""
    return round(weight * BILLION)


@dataclass(slots=True)
class Totals:
    """Sums over the feedback that stands on a trace; weights in billionths."""

    weight_sum: int = 0
    value_weight_sum: int = 0
    weight_value_squared_sum: int = 0
    count: int = 0
    values: dict[int, int] = field(default_factory=dict)

    @property
    def value_min(self) -> int | None:
        return min(self.values, default=None)

    @property
    def value_max(self) -> int | None:
        return max(self.values, default=None)

    def add(self, value: int, weight: int) -> None:
        self._move(value, weight, +1)

    def remove(self, value: int, weight: int) -> None:
        self._move(value, weight, -1)

    def _move(self, value: int, weight: int, sign: int) -> None:
        self.weight_sum += sign * weight
        self.value_weight_sum += sign * value * weight
        self.weight_value_squared_sum += sign * weight * value * value
        self.count += sign
        self.values[value] = self.values.get(value, 0) + sign
        if not self.values[value]:
            del self.values[value]

"""The numbers of one trace: exact sums that can be added to and taken from.

How often each value stands is counted, which gives the extremes. Weights are whole billionths, so every sum is an
integer and the order of events cannot show in it: taking a feedback out restores the very numbers from before.
"""

import msgspec
from msgspec import field

BILLION = 1_000_000_000


def billionths(weight: float) -> int:
    """A weight in whole billionths, the resolution in which weights are stored."""
    return round(weight * BILLION)


class Totals(msgspec.Struct, gc=False, array_like=True):
    """Sums over the feedback that stands on a trace, weights in billionths; and how often each value stands there."""

    weight_sum: int = 0
    value_weight_sum: int = 0
    weight_value_squared_sum: int = 0
    count: int = 0
    value_counts: dict[int, int] = field(default_factory=dict)

    @property
    def value_min(self) -> int | None:
        return min(self.value_counts) if self.value_counts else None

    @property
    def value_max(self) -> int | None:
        return max(self.value_counts) if self.value_counts else None

    def add(self, value: int, weight: int) -> None:
        weighted = value * weight
        self.weight_sum += weight
        self.value_weight_sum += weighted
        self.weight_value_squared_sum += value * weighted
        self.count += 1
        self.value_counts[value] = self.value_counts.get(value, 0) + 1

    def remove(self, value: int, weight: int) -> None:
        """Take out what was added before."""
        weighted = value * weight
        self.weight_sum -= weight
        self.value_weight_sum -= weighted
        self.weight_value_squared_sum -= value * weighted
        self.count -= 1
        if self.value_counts[value] == 1:
            del self.value_counts[value]
        else:
            self.value_counts[value] -= 1

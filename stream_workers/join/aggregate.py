"""The totals of one trace: exact sums to which feedback can be added and from which it can be removed.

The occurrences of each value are counted, which gives the extremes. Weights are whole billionths, so every sum is an
integer and does not depend on the order of events: removing a feedback restores the totals before it exactly.
"""

import msgspec
from msgspec import field

BILLION = 1_000_000_000


def billionths(weight: float) -> int:
    """A weight in whole billionths, the resolution in which weights are stored."""
    return round(weight * BILLION)


class Totals(msgspec.Struct, gc=False, array_like=True):
    """Sums over the feedback on a trace that is not deleted, weights in billionths, and the count of each value."""

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
        """Remove a feedback that was added before."""
        weighted = value * weight
        self.weight_sum -= weight
        self.value_weight_sum -= weighted
        self.weight_value_squared_sum -= value * weighted
        self.count -= 1
        if self.value_counts[value] == 1:
            del self.value_counts[value]
        else:
            self.value_counts[value] -= 1

"""The numbers of one trace: exact sums that can be added to and taken from.

How often each value stands is counted, which gives the extremes. Weights are whole billionths, so every sum is an
integer and the order of events cannot show in it: taking a feedback out restores the very numbers from before.
"""

import msgspec

BILLION = 1_000_000_000
_LEAST_VALUE, _COUNT_BITS = -10, 40


def billionths(weight: float) -> int:
    """A weight in whole billionths, the resolution in which weights are stored."""
    return round(weight * BILLION)


class Totals(msgspec.Struct, gc=False):
    """Sums over the feedback that stands on a trace; weights in billionths.

    `value_counts` is one integer: 40 bits for each value, from the least up, that count how often it stands.
    """

    weight_sum: int = 0
    value_weight_sum: int = 0
    weight_value_squared_sum: int = 0
    count: int = 0
    value_counts: int = 0

    @property
    def value_min(self) -> int | None:
        counts = self.value_counts
        return ((counts & -counts).bit_length() - 1) // _COUNT_BITS + _LEAST_VALUE if counts else None

    @property
    def value_max(self) -> int | None:
        counts = self.value_counts
        return (counts.bit_length() - 1) // _COUNT_BITS + _LEAST_VALUE if counts else None

    def add(self, value: int, weight: int) -> None:
        weighted = value * weight
        self.weight_sum += weight
        self.value_weight_sum += weighted
        self.weight_value_squared_sum += value * weighted
        self.count += 1
        self.value_counts += 1 << (value - _LEAST_VALUE) * _COUNT_BITS

    def remove(self, value: int, weight: int) -> None:
        weighted = value * weight
        self.weight_sum -= weight
        self.value_weight_sum -= weighted
        self.weight_value_squared_sum -= value * weighted
        self.count -= 1
        self.value_counts -= 1 << (value - _LEAST_VALUE) * _COUNT_BITS

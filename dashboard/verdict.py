"""Words for a comparison of two groups of feedback: the difference, and whether chance explains it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Literal

from dashboard.rendering import signed

RARE = 0.05
"""A difference counts as real if chance alone causes one like it less often than this."""
FEW = 30
"""With fewer feedbacks than this on a side, the comparison has a caution."""
_LEAST_P = 1e-6


@dataclass(frozen=True)
class ComparisonVerdict:
    """A sentence, its tone, and a caution."""

    sentence: str
    tone: Literal["good", "bad", "even"] = "even"
    caution: str = ""


def verdict(current: Mapping[str, Any], baseline: Mapping[str, Any], change: Mapping[str, Any]) -> ComparisonVerdict:
    """The words for both sides and the difference of their weighted means, as the API gives them."""
    counts = current["n_with_weight"], baseline["n_with_weight"]
    if change["value"] is None:
        which = "neither side has" if not any(counts) else f"the {'second' if counts[0] else 'first'} side has no"
        return ComparisonVerdict(f"Nothing to compare: {which} feedback with weight.")
    if change["p_value"] is None:
        why = "one feedback alone does not tell what chance does" if 1 in counts else "nothing varies within the sides"
        return ComparisonVerdict(
            f"{_direction(change['value'])} by {_size(change['value'], None)}; {why}.", caution=_few(*counts)
        )
    reach = change["high"] - change["value"]
    size = f"{_size(change['value'], reach)} ± {_size(reach, reach)}"
    if change["p_value"] >= RARE:
        signed_size = f"{signed(change['value'], _places(reach))} ± {_size(reach, reach)}"
        return ComparisonVerdict(
            f"No clear difference: {signed_size}; {chance(change['p_value'])}.", caution=_few(*counts)
        )
    tone: Literal["good", "bad"] = "good" if change["value"] > 0 else "bad"
    return ComparisonVerdict(
        f"{_direction(change['value'])} by {size}; {chance(change['p_value'])}.", tone, _few(*counts)
    )


def chance(p_value: float) -> str:
    """Words for how often chance alone causes such a difference, rounded up."""
    if p_value < _LEAST_P:
        return "chance explains this less than 1 time in 1,000,000"
    if p_value > 0.1:
        return f"chance explains this {min(round(p_value * 100), 100)} times in 100"
    odds = 1 / p_value
    unit = 10 ** max(floor(log10(odds)) - 1, 0)
    return f"chance explains this 1 time in {floor(odds / unit) * unit:,}"


def _direction(value: float) -> str:
    return "Better" if value > 0 else "Worse" if value < 0 else "The same"


def _few(one: int, other: int) -> str:
    if min(one, other) >= FEW:
        return ""
    return f"Few feedbacks: {one:,} and {other:,}. With fewer than {FEW} on a side, take this as a hint, no more."


def _size(number: float, reach: float | None) -> str:
    return f"{abs(number):.{_places(reach)}f}"


def _places(reach: float | None) -> int:
    """The decimal places that are significant, given the error, and no fewer than the sides have."""
    if not reach:
        return 2
    return min(max(-floor(log10(reach)), 2), 4)

"""Student's t distribution: how far a 95 % confidence interval reaches, and how rare a difference is by chance.

With t = √ν·tan θ its density becomes proportional to cos^(ν−1) θ, which is smooth over the whole of the short interval
between two angles: so Simpson's rule finds the probability to nine digits for every ν from 1 on.
"""

from math import atan, cos, erfc, exp, isinf, lgamma, log, pi, sqrt, tan
from statistics import NormalDist

_PROBABILITY = 0.95
_BEYOND = 13.0
"""More than any answer: that for one degree of freedom is 12.7."""
_INTERVALS = 200
_HALVINGS = 45
_AS_GOOD_AS_NORMAL = 1e6
_HEAVY_TAILED = 200
_TAIL = 30.0
"""Beyond so much more than t nothing is left to count, unless tails are heavy."""


def reach_of_95_percent(degrees: float) -> float:
    """Standard errors to either side of the middle; `degrees` of freedom from 1 on, or infinity."""
    if isinf(degrees) or degrees > _AS_GOOD_AS_NORMAL:
        return NormalDist().inv_cdf((1 + _PROBABILITY) / 2)
    low, high = 0.0, atan(_BEYOND / sqrt(degrees))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if 2 * _between(0, middle, degrees) < _PROBABILITY else (low, middle)
    return sqrt(degrees) * tan((low + high) / 2)


def two_sided_p(t: float, degrees: float) -> float:
    """The probability that chance alone takes |t| so far or farther. Never 0: what is less than a float tells is told
    as the least it tells."""
    t = abs(t)
    if degrees > _AS_GOOD_AS_NORMAL:
        return max(erfc(t / sqrt(2)), _LEAST)
    start = atan(t / sqrt(degrees))
    end = pi / 2 if degrees <= _HEAVY_TAILED else atan((t + _TAIL) / sqrt(degrees))
    return min(max(2 * _between(start, end, degrees), _LEAST), 1.0)


_LEAST = 5e-324


def _between(start: float, end: float, degrees: float) -> float:
    """The probability of √ν·tan start ≤ t ≤ √ν·tan end."""
    step = (end - start) / _INTERVALS
    total = sum(
        (1 if number in (0, _INTERVALS) else 4 if number % 2 else 2)
        # At a right angle the cosine is 0, or less by rounding.
        * exp((degrees - 1) * log(max(cos(start + step * number), 1e-300)))
        for number in range(_INTERVALS + 1)
    )
    constant = exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(pi)
    return constant * total * step / 3

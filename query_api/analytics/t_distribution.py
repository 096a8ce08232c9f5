"""Student's t distribution: how far a 95 % confidence interval reaches, and how rare a difference is by chance.

With t = √ν·tan θ its density becomes proportional to cos^(ν−1) θ, which is smooth over the whole of the short interval
between two angles: so Simpson's rule finds the probability to nine digits for every ν from 1 on.
"""

from math import atan, cos, erfc, exp, inf, isinf, lgamma, log, pi, sqrt, tan
from statistics import NormalDist

_PROBABILITY = 0.95
_NORMAL_REACH = NormalDist().inv_cdf((1 + _PROBABILITY) / 2)
_INTERVALS = 200
_CLOSE = 1e-12
_AS_GOOD_AS_NORMAL = 1e6
_HEAVY_TAILED = 200
_TAIL = 30.0
"""Beyond so much more than t nothing is left to count, unless tails are heavy."""


def reach_of_95_percent(degrees: float) -> float:
    """Standard errors to either side of the middle; `degrees` of freedom from 1 on, or infinity."""
    if isinf(degrees) or degrees > _AS_GOOD_AS_NORMAL:
        return _NORMAL_REACH
    # Newton's method. The density falls to either side: from below, where the normal reach is, no step goes too far.
    angle, step = atan(_NORMAL_REACH / sqrt(degrees)), inf
    while step > _CLOSE * angle:
        missing = _PROBABILITY - 2 * _between(0, angle, degrees)
        step = missing / (2 * _constant(degrees) * _density(angle, degrees))
        angle += step
    return sqrt(degrees) * tan(angle)


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
        (1 if number in (0, _INTERVALS) else 4 if number % 2 else 2) * _density(start + step * number, degrees)
        for number in range(_INTERVALS + 1)
    )
    return _constant(degrees) * total * step / 3


def _density(angle: float, degrees: float) -> float:
    """In proportion to it."""
    # At a right angle the cosine is 0, or less by rounding.
    return exp((degrees - 1) * log(max(cos(angle), 1e-300)))


def _constant(degrees: float) -> float:
    """What makes a probability of it."""
    return exp(lgamma((degrees + 1) / 2) - lgamma(degrees / 2)) / sqrt(pi)

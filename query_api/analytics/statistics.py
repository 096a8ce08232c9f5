"""Two groups of feedback compared: means, their standard errors, and what their difference may be.

Pure, and exact up to the last step. With vᵢ a value, wᵢ its weight and n how many there are:

- avg = Σvᵢwᵢ / n, whose standard error is s/√n, s² = Σ(vᵢwᵢ − avg)² / (n − 1);
- weighted mean = Σvᵢwᵢ / Σwᵢ, a quotient of two sums, whose standard error is that of its linearised form,
  √(m/(m − 1) · Σ(wᵢ(vᵢ − mean))²) / Σwᵢ, m being how many have weight;
- the difference of two means has the standard error √(SE₁² + SE₂²), and Welch–Satterthwaite's degrees of freedom,
  (SE₁² + SE₂²)² / (SE₁⁴/(n₁ − 1) + SE₂⁴/(n₂ − 1)).

What cannot be known is None: a mean of nothing, an error from fewer than two, an interval where either is missing.
"""

from dataclasses import astuple, dataclass
from decimal import Decimal
from fractions import Fraction
from math import sqrt

from query_api.analytics.t_distribution import reach_of_95_percent, two_sided_p


@dataclass(frozen=True)
class Moments:
    """Sums over one group: of how many, how many with weight, w, w², vw, vw², (vw)²."""

    n: int = 0
    with_weight: int = 0
    w: Decimal = Decimal(0)
    ww: Decimal = Decimal(0)
    vw: Decimal = Decimal(0)
    vww: Decimal = Decimal(0)
    vvww: Decimal = Decimal(0)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Estimate:
    """A mean of `n`, and the square of its standard error."""

    n: int
    mean: Fraction | None
    variance: Fraction | None

    @property
    def standard_error(self) -> float | None:
        """None from fewer than two."""
        return None if self.variance is None else sqrt(self.variance)


@dataclass(frozen=True)
class Difference:
    """Of two means: itself, its standard error, degrees of freedom, its 95 % confidence interval, and how probable it
    is that chance alone makes two means of the same differ so much or more."""

    value: float | None = None
    standard_error: float | None = None
    degrees_of_freedom: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


def avg(group: Moments) -> Estimate:
    """The mean of value × weight."""
    if group.n == 0:
        return Estimate(0, None, None)
    mean = Fraction(group.vw) / group.n
    if group.n == 1:
        return Estimate(1, mean, None)
    squares = Fraction(group.vvww) - group.n * mean**2
    return Estimate(group.n, mean, squares / (group.n - 1) / group.n)


def weighted_mean(group: Moments) -> Estimate:
    """The mean weighted by weight."""
    if group.with_weight == 0:
        return Estimate(0, None, None)
    weight, n = Fraction(group.w), group.with_weight
    mean = Fraction(group.vw) / weight
    if n == 1:
        return Estimate(1, mean, None)
    squares = Fraction(group.vvww) - 2 * mean * Fraction(group.vww) + mean**2 * Fraction(group.ww)
    return Estimate(n, mean, squares * n / (n - 1) / weight**2)


def difference(one: Estimate, other: Estimate) -> Difference:
    """`one` less `other`."""
    if one.mean is None or other.mean is None:
        return Difference()
    value = one.mean - other.mean
    if one.variance is None or other.variance is None:
        return Difference(float(value))
    variance = one.variance + other.variance
    if variance == 0:
        return Difference(float(value), 0.0, None, float(value), float(value))
    degrees = float(variance**2 / (one.variance**2 / (one.n - 1) + other.variance**2 / (other.n - 1)))
    error = sqrt(variance)
    reach, p_value = reach_of_95_percent(degrees) * error, two_sided_p(float(value) / error, degrees)
    return Difference(float(value), error, degrees, float(value) - reach, float(value) + reach, p_value)


def interval(estimate: Estimate) -> tuple[float | None, float | None]:
    """The 95 % confidence interval of a mean; None where its error is not known."""
    error = estimate.standard_error
    if estimate.mean is None or error is None:
        return None, None
    reach = reach_of_95_percent(estimate.n - 1) * error
    return float(estimate.mean) - reach, float(estimate.mean) + reach

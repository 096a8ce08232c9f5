"""Comparisons say what chance allows for, and nothing where there is too little to say it from."""

import random
from decimal import Decimal
from fractions import Fraction
from math import inf, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_api.analytics.statistics import Difference, Moments, avg, difference, interval, weighted_mean
from query_api.analytics.t_distribution import reach_of_95_percent, two_sided_p

Pair = tuple[int, str]


def moments(*pairs: Pair) -> Moments:
    rows = [(value, Decimal(weight)) for value, weight in pairs]
    none = Decimal(0)
    return Moments(
        len(rows), sum(w > 0 for _, w in rows),
        sum((w for _, w in rows), none), sum((w * w for _, w in rows), none),
        sum((v * w for v, w in rows), none), sum((v * w * w for v, w in rows), none),
        sum((v * v * w * w for v, w in rows), none),
    )  # fmt: skip


# From the tables of Student's distribution, two-sided at 95 %.
@pytest.mark.parametrize(
    ("degrees", "reach"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (5, 2.57058),
        (10, 2.22814),
        (30, 2.04227),
        (120, 1.97993),
        (1e6, 1.95997),
        (inf, 1.95996),
    ],
)
def test_the_reach_of_an_interval_is_that_of_the_tables(degrees: float, reach: float) -> None:
    assert reach_of_95_percent(degrees) == pytest.approx(reach, rel=3e-6)


# From the tables of Student's distribution.
@pytest.mark.parametrize(
    ("t", "degrees", "p_value"),
    [
        (12.7062, 1, 0.05), (636.619, 1, 0.001), (9.92484, 2, 0.01), (2.04227, 30, 0.05), (3.64596, 30, 0.001),
        (3.37345, 120, 0.001), (1.97190, 200, 0.05), (1.97184, 201, 0.05), (1.95996, 2e6, 0.05),
        (3.29053, 1e9, 0.001), (0, 7, 1),
    ],
)  # fmt: skip
def test_p_values_are_those_of_the_tables(t: float, degrees: float, p_value: float) -> None:
    assert two_sided_p(t, degrees) == two_sided_p(-t, degrees) == pytest.approx(p_value, rel=1e-4)


@given(t=st.floats(0, 1e4), degrees=st.floats(1, 1e7))
def test_the_p_value_of_two_degrees_is_the_closed_form_and_all_fall_as_t_grows(t: float, degrees: float) -> None:
    exact = 2 / (t * t + 2 + t * sqrt(t * t + 2))
    assert two_sided_p(t, 2) == pytest.approx(exact, rel=1e-6)
    assert 0 < two_sided_p(t + 1, degrees) <= two_sided_p(t, degrees) <= 1


def test_the_means_are_exact_and_so_are_their_errors() -> None:
    group = moments((4, "0.5"), (-2, "1"), (10, "0"), (6, "0.25"))
    assert avg(group).mean == Fraction(3, 8)
    assert weighted_mean(group).mean == Fraction(6, 7)
    products = [2.0, -2.0, 0.0, 1.5]
    variance = sum((each - 0.375) ** 2 for each in products) / 3
    assert avg(group).standard_error == pytest.approx(sqrt(variance / 4))
    residuals = [w * (v - 6 / 7) for v, w in ((4, 0.5), (-2, 1), (6, 0.25))]
    assert weighted_mean(group).standard_error == pytest.approx(sqrt(3 / 2 * sum(r * r for r in residuals)) / 1.75)


def test_with_equal_weights_both_means_have_the_textbook_error() -> None:
    group = moments((1, "1"), (5, "1"), (9, "1"))
    assert avg(group) == weighted_mean(group)
    assert avg(group).standard_error == pytest.approx(4 / sqrt(3))


def test_what_is_too_little_says_nothing() -> None:
    none, one, two = moments(), moments((5, "0.5")), moments((5, "0.5"), (3, "1"))
    assert (avg(none).mean, weighted_mean(none).mean, avg(none).standard_error) == (None, None, None)
    assert (avg(one).mean, weighted_mean(one).mean, avg(one).standard_error) == (Fraction(5, 2), 5, None)
    assert weighted_mean(moments((5, "0"), (3, "0"))).mean is None
    assert difference(avg(two), avg(none)) == difference(avg(none), avg(two)) == Difference()
    assert difference(avg(two), avg(one)) == Difference(2.75 - 2.5)


def test_where_nothing_varies_the_difference_is_certain() -> None:
    up, down = moments((1, "1"), (1, "1")), moments((-1, "1"), (-1, "1"))
    assert difference(avg(up), avg(down)) == Difference(2.0, 0.0, None, 2.0, 2.0)


def test_a_difference_is_welchs() -> None:
    one, other = avg(moments((1, "1"), (2, "1"), (3, "1"))), avg(moments((2, "1"), (4, "1"), (6, "1"), (8, "1")))
    found = difference(one, other)
    error = sqrt(1 / 3 + (20 / 3) / 4)
    degrees = error**4 / ((1 / 3) ** 2 / 2 + (5 / 3) ** 2 / 3)
    assert (found.value, found.standard_error, found.degrees_of_freedom) == pytest.approx((-3, error, degrees))
    assert found.high is not None
    assert found.high - -3 == pytest.approx(reach_of_95_percent(degrees) * error)
    assert found.p_value == two_sided_p(-3 / error, degrees)


def test_the_interval_of_a_mean_reaches_as_far_as_student_says() -> None:
    group = avg(moments((1, "1"), (5, "1"), (9, "1")))
    assert interval(group) == pytest.approx((5 - 4.30265 * 4 / sqrt(3), 5 + 4.30265 * 4 / sqrt(3)), rel=1e-5)
    assert interval(avg(moments((1, "1")))) == interval(avg(moments())) == (None, None)


@pytest.mark.parametrize("estimate", [avg, weighted_mean])
def test_19_of_20_intervals_hold_the_true_difference(estimate: object) -> None:
    chance, held, trials = random.Random(5), 0, 400

    def sample(size: int) -> Moments:
        return moments(*((chance.randint(-4, 6), str(chance.choice([0.25, 0.5, 1]))) for _ in range(size)))

    for _ in range(trials):
        found = difference(estimate(sample(40)), estimate(sample(60)))  # type: ignore[operator]
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert 0.93 < held / trials < 0.97

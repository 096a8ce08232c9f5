"""The verdict on a comparison says in words what its numbers say, and never more."""

import re
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dashboard.verdict import FEW, RARE, ComparisonVerdict, chance, verdict
from query_api.analytics.t_distribution import reach_of_95_percent, two_sided_p


def judged(value: float, error: float, n: int = 100, m: int = 100) -> ComparisonVerdict:
    degrees = float(n + m - 2)
    reach = reach_of_95_percent(degrees) * error
    change = {
        "value": value, "standard_error": error, "low": value - reach, "high": value + reach,
        "p_value": two_sided_p(value / error, degrees),
    }  # fmt: skip
    return verdict(sample(n), sample(m), change)


def sample(n: int) -> dict[str, Any]:
    return {"n": n, "n_with_weight": n}


def test_the_verdict_on_a_difference_names_its_size_its_error_and_how_rare_it_is() -> None:
    better = "Better by 0.80 ± 0.29; chance explains this less than 1 time in 1,000,000."
    assert judged(0.8, 0.15, 500, 400) == ComparisonVerdict(better, "good")
    assert judged(-0.8, 0.24, 500, 400).sentence == "Worse by 0.80 ± 0.47; chance explains this 1 time in 1,100."
    assert judged(0.2, 0.25).sentence == "No clear difference: +0.20 ± 0.49; chance explains this 42 times in 100."


@given(value=st.floats(-20, 20), error=st.floats(1e-3, 10), n=st.integers(2, 10**6), m=st.integers(2, 10**6))
def test_a_side_is_called_better_only_if_its_interval_has_no_0(value: float, error: float, n: int, m: int) -> None:
    assume(abs(abs(value / error) - reach_of_95_percent(float(n + m - 2))) > 1e-3)
    reach = reach_of_95_percent(float(n + m - 2)) * error
    found = judged(value, error, n, m)
    has_0 = value - reach <= 0 <= value + reach
    assert found.sentence.startswith("No clear difference" if has_0 else "Better by" if value > 0 else "Worse by")
    assert found.tone == ("even" if has_0 else "good" if value > 0 else "bad")
    assert bool(found.caution) == (min(n, m) < FEW)
    told = [float(each) for each in re.findall(r"(\d+\.\d+) ± (\d+\.\d+)", found.sentence)[0]]
    assert told == pytest.approx([abs(value), reach], abs=0.051, rel=0.5 if reach < 0.0001 else 0)


@given(st.floats(1e-300, 1))
def test_chance_is_never_said_to_be_rarer_than_it_is(p_value: float) -> None:
    words = chance(p_value)
    if found := re.fullmatch(r"chance explains this (?:less than )?1 time in ([\d,]+)", words):
        claimed = 1 / int(found[1].replace(",", ""))
        assert p_value < claimed if "less" in words else p_value <= claimed * (1 + 1e-12) and claimed < p_value * 1.12
    else:
        times = re.fullmatch(r"chance explains this (\d+) times in 100", words)
        assert times
        assert abs(int(times[1]) / 100 - p_value) <= 0.005 + 1e-12
        assert p_value > RARE


def test_what_cannot_be_known_is_said_to_be_so() -> None:
    none = dict.fromkeys(("value", "standard_error", "low", "high", "p_value"))
    assert (
        verdict(sample(0), sample(5), none).sentence
        == "Nothing to compare: the first side has no feedback with weight."
    )
    assert (
        verdict(sample(5), sample(0), none).sentence
        == "Nothing to compare: the second side has no feedback with weight."
    )
    assert verdict(sample(0), sample(0), none).sentence == "Nothing to compare: neither side has feedback with weight."
    one = verdict(sample(1), sample(50), none | {"value": 1.5})
    assert one.sentence == "Better by 1.50; one feedback alone does not tell what chance does."
    assert one.caution
    same = verdict(sample(40), sample(50), none | {"value": -2.0, "standard_error": 0.0, "low": -2.0, "high": -2.0})
    assert same == ComparisonVerdict("Worse by 2.00; nothing varies within the sides.")

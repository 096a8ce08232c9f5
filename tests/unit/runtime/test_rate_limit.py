"""How much a key may send, and ask: over time no more than its limit, and what it is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.api_key_authentication import OPEN, Caller
from runtime.http_errors import ApiError
from runtime.rate_limit import Bucket, RateLimits

CALLS = st.lists(st.tuples(st.integers(-5, 3000), st.integers(1, 50)), max_size=60)


@given(st.integers(1, 40), CALLS)
def test_over_time_no_more_events_pass_than_the_limit_allows_and_one_call_more(
    rate: int, calls: list[tuple[int, int]]
) -> None:
    now = latest = 0
    bucket = Bucket(rate, now)
    passed = last = 0
    for wait_ms, events in calls:
        now = max(0, now + wait_ms)
        # A clock that goes back gives no time twice, but what it then counts again is time that passes.
        latest += max(0, wait_ms)
        try:
            bucket.admit(now)
        except ApiError:
            continue
        bucket.take(events - 1)
        passed, last = passed + events, events
        assert passed - last <= rate + rate * latest / 1000 + 1e-6


@given(st.integers(1, 1000), st.integers(1, 5000))
def test_who_waits_as_long_as_it_is_told_is_let_in(rate: int, events: int) -> None:
    bucket = Bucket(rate, 0)
    bucket.admit(0)
    bucket.take(events - 1)
    if events < rate:
        bucket.admit(0)
        return
    with pytest.raises(ApiError) as refused:
        bucket.admit(0)
    told = dict(bucket.headers())
    assert (told[b"ratelimit-limit"], told[b"ratelimit-remaining"]) == (b"%d" % rate, b"0")
    ((name, wait_s),) = refused.value.headers
    assert name == b"retry-after"
    assert int(wait_s) >= 1
    bucket.admit(int(wait_s) * 1000)


def test_the_headers_count_down_and_tell_when_all_is_there_again() -> None:
    bucket = Bucket(10, 0)
    seen = []
    for _ in range(3):
        bucket.admit(0)
        seen.append([int(value) for _, value in bucket.headers()])
    bucket.take(27)
    seen.append([int(value) for _, value in bucket.headers()])
    assert seen == [[10, 9, 1], [10, 8, 1], [10, 7, 1], [10, 0, 3]]


def test_each_key_has_its_own_limit_or_the_default_and_the_open_server_one_for_all() -> None:
    def key(name: str, rate: int = 0) -> Caller:
        return Caller("w", frozenset(), name, rate_limit_per_s=rate)

    limits = RateLimits(5)
    found = {name: limits.bucket(each, 0) for name, each in (("a", key("a")), ("b", key("b", 7)), ("", OPEN))}
    assert [bucket and bucket.rate for bucket in found.values()] == [5, 7, 5]
    assert limits.bucket(key("a"), 1) is found["a"]
    assert limits.bucket(OPEN, 1) is found[""]
    assert RateLimits(0).bucket(key("a"), 0) is None
    mine = limits.bucket(key("c"), 0)
    assert mine is not None
    for _ in range(5):
        mine.admit(0)
    with pytest.raises(ApiError):
        mine.admit(0)


def test_events_and_questions_are_counted_apart_by_limits_of_their_own() -> None:
    caller = Caller("w", frozenset(), "a", rate_limit_per_s=3, read_rate_limit_per_s=4)
    events, questions = (RateLimits(9, counted).bucket(caller, 0) for counted in ("events", "questions"))
    assert events is not None
    assert questions is not None
    assert (events.rate, questions.rate) == (3, 4)
    for _ in range(4):
        questions.admit(0)
    with pytest.raises(ApiError, match="4 questions a second"):
        questions.admit(0)
    events.admit(0)

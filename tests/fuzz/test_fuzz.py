"""Whatever is sent to the publishing routes is answered as the documentation says, and published as it was sent.

A short run is part of every test run. `make fuzz EXAMPLES=300000 SEED=` is the long one; a failure names the seed.
"""

import json
import os
import random
import time
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st

from tests.fuzz.calls import requests
from tests.fuzz.edge import RULES, RecordedEdge
from tests.fuzz.oracle import Event, Oracle, Request
from tests.tries import tries

EXAMPLES = tries(2_000, "FUZZ_EXAMPLES")
SEED = int(os.environ.get("FUZZ_SEED") or random.randrange(2**32))
# Hypothesis remembers what it has tried: a long run is made of several, each with a seed of its own.
AT_A_TIME = 10_000


def is_same_json(expected: Any, found: Any) -> bool:
    """Whether two values are the same JSON: 1 is not 1.0, and not true."""
    return json.dumps(expected, sort_keys=True) == json.dumps(found, sort_keys=True)


def check(edge: RecordedEdge, oracle: Oracle, request: Request, cut: int) -> int:
    """Send a request and compare; the status."""
    expected_status, expected = oracle.judge(request)
    status, answer, events = edge.answer(request, cut)
    note(f"SEED={SEED}")
    note(f"{request!r}\nanswered {status} {answer}")
    assert status == expected_status, f"{status}, not {expected_status}: {answer}"
    if status != 200:
        assert not events, "something of a refused call was published"
        told = answer["message"]
        assert told
        assert (answer["status"], answer["success"]) == ("failure", False)
        assert told == answer["error"]["message"] == answer["data"]["message"]
        return status
    ids = answer.get("feedback_ids") or answer["ids"]
    assert len(ids) == len(events) == len(expected)
    for feedback_id, event, wanted in zip(ids, events, expected, strict=True):
        check_event(feedback_id, event, wanted)
    return status


def check_event(its_id: str, event: Event, wanted: Event) -> None:
    assert its_id == event.get("feedback_id", event.get("request_id"))
    for name, value in wanted.items():
        if value is not ...:
            found = event.get(name)
            assert is_same_json(value, float(found) if isinstance(value, float) and found is not None else found), (
                f"{name}: {found!r}, not {value!r}"
            )
    specials = {name for name in event if name.startswith("_")}
    assert specials == {name for name in wanted if name.startswith("_")}


def run(edge: RecordedEdge, seeded: int, examples: int, statuses: Counter[int]) -> None:
    """Try some calls on one edge, and count how they are answered."""
    oracle = Oracle(RULES)

    @seed(seeded)
    @settings(
        max_examples=examples,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests, st.integers(0, 40))
    def one(request: Request, cut: int) -> None:
        statuses[check(edge, oracle, request, cut)] += 1

    one()


def test_every_call_is_answered_as_documented_and_published_as_sent() -> None:
    print(f"\nfuzzing {EXAMPLES} calls: SEED={SEED}")
    statuses: Counter[int] = Counter()
    start = time.monotonic()
    for number in range(0, EXAMPLES, AT_A_TIME):
        edge = RecordedEdge()
        try:
            run(edge, SEED + number, min(AT_A_TIME, EXAMPLES - number), statuses)
        finally:
            edge.close()
    took = time.monotonic() - start
    print(f"{EXAMPLES} calls in {took:.0f} s, {EXAMPLES / took:.0f} a second: {dict(sorted(statuses.items()))}")
    # Neither all right nor all wrong, or nothing would be tried.
    assert min(statuses[200], statuses[400]) > EXAMPLES / 10

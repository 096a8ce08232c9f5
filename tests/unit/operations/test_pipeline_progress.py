"""Rates and stalls follow from what was seen of offsets, and from nothing else."""

import pytest

from dashboard.pipeline_view import verdicts
from operations.pipeline_progress import LOOK_BACK_S, GroupOffsets, GroupPartition, Offsets, PipelineProgress

PLACE = GroupPartition("workers", "feedback.events.v1", 0)


def seen(end: int, committed: int | None, start: int = 0) -> GroupOffsets:
    return {PLACE: Offsets(start, end, committed)}


def test_what_a_log_has_dropped_and_what_was_never_committed_is_counted_as_it_is() -> None:
    assert [Offsets(0, 9, None).lag, Offsets(4, 9, None).lag, Offsets(4, 9, 2).lag, Offsets(0, 9, 9).lag] == [
        9,
        5,
        5,
        0,
    ]


def test_rates_are_what_moved_between_the_looks_of_the_last_minute() -> None:
    progress = PipelineProgress()
    assert progress.rates("workers") is None
    progress.record(0, seen(1000, 0))
    assert progress.rates("workers") is None, "one look tells no rate"
    progress.record(100, seen(1100, 50))
    progress.record(110, seen(1400, 250))
    assert progress.rates("workers") == (30, 20, 10), f"what is older than {LOOK_BACK_S:.0f} s counts no more"
    assert progress.rates("others") == (0, 0, 10)


def test_a_group_has_stalled_since_it_was_first_seen_where_it_is_while_records_wait() -> None:
    progress = PipelineProgress()
    looks = [(0, 5, 5, 0), (10, 9, 5, 0), (500, 30, 5, 490), (501, 30, 6, 0), (520, 30, 6, 19), (521, 30, 30, 0)]
    for at, end, committed, stalled in [*looks, (530, 31, 30, 0)]:
        progress.record(at, seen(end, committed))
        assert progress.stalled_s(PLACE) == stalled, at


def test_topics_that_were_made_anew_compare_with_nothing() -> None:
    progress = PipelineProgress()
    progress.record(0, seen(1000, 10))
    progress.record(10, seen(3, 0))
    assert progress.rates("workers") is None
    assert progress.stalled_s(PLACE) == 0


def status(lag: int = 0, stalled_s: float = 0, **more: object) -> dict[str, object]:
    part = {"group": "w", "topic": "feedback.events.v1", "partition": 0, "end_offset": 9, "lag": lag}
    checks = {"audit": None, "reconcile": None}
    return {"partitions": [part | {"stalled_s": stalled_s}], "rates": None, "lost": 0, "checks": checks, **more}


@pytest.mark.parametrize(
    ("given", "tones", "words"),
    [
        (status(), ["good"], "Nothing is stuck"),
        (status(lag=3), ["even"], "3 records wait for a worker."),
        (
            status(lag=1, rates={"accepted_per_s": 1.0, "stored_per_s": 1.5}),
            ["even"],
            "1 record waits for a worker; at this rate for about 2 s",
        ),
        (status(lag=1, rates={"accepted_per_s": 2.0, "stored_per_s": 2.0}), ["even"], "as much as what is stored"),
        (status(lag=3, stalled_s=14.9), ["even"], "3 records wait"),
        (status(lag=3, stalled_s=15), ["bad"], "not moved on feedback.events.v1 for 15 s although 3 records wait"),
        (status(lost=2), ["bad", "good"], "2 records lost: gone from Kafka"),
        (status(checks={"audit": {"differences": 4}}), ["bad", "good"], "audit found 4 records"),
    ],
)
def test_the_verdict_says_the_worst_first(given: dict[str, object], tones: list[str], words: str) -> None:
    told = verdicts(given)
    assert [each.tone for each in told] == tones
    assert words in told[0].text

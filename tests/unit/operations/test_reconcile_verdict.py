"""Whom `feedback reconcile` believes: the journal, or the rows that it does not account for."""

from typing import Any

import pytest

from operations.broker_offsets import GAP
from operations.lost_records import SequenceRange
from operations.reconcile.lost_places import JournalCoverage, without_bases
from operations.reconcile.verdict import MISSING, UNKNOWN, WRONG, Evidence, Row, is_as_wanted, judge
from schemas.topics import FEEDBACK_EVENTS, REQUEST_LOGS

FEEDBACK, REQUESTS = (FEEDBACK_EVENTS, 0), (REQUEST_LOGS, 0)
ENDS = {FEEDBACK: 100, REQUESTS: 100}
WHOLE = JournalCoverage(ENDS)
HOLE_BEFORE, HOLE_AFTER = (JournalCoverage(ENDS, {FEEDBACK: [SequenceRange(n, n + 1)]}) for n in (20, 60))
NO_REQUEST = JournalCoverage(ENDS, {REQUESTS: [SequenceRange(5, 6)]})


def row(sequence: int = 50, requests: int = 1, place: int = 1, content: int = 7) -> Row:
    return Row(place, sequence << 16 | requests, content)


WANTED = row()


@pytest.mark.parametrize(
    ("stored", "coverage", "kind", "removed", "writes"),
    [
        ([], WHOLE, MISSING, [], True),
        ([], HOLE_BEFORE, UNKNOWN, [], True),
        ([], HOLE_AFTER, UNKNOWN, [], True),
        ([row(content=9)], WHOLE, WRONG, [row(content=9)], True),
        ([row(content=9)], HOLE_BEFORE, UNKNOWN, [row(content=9)], True),
        ([row(content=9)], HOLE_AFTER, WRONG, [row(content=9)], True),
        ([row(content=9)], NO_REQUEST, UNKNOWN, [row(content=9)], True),
        # What the journal wants is stored beside it, and bears it out.
        # Where both are at one place, a merge may have dropped it meanwhile, so it is written again.
        ([row(content=9), WANTED], HOLE_BEFORE, WRONG, [row(content=9)], True),
        ([row(place=2), WANTED], NO_REQUEST, WRONG, [row(place=2)], False),
        ([row(place=2)], WHOLE, WRONG, [row(place=2)], True),
        ([row(place=2)], HOLE_BEFORE, UNKNOWN, [row(place=2)], True),
        # It tells of another event, of one that is nowhere, of one that is yet to come.
        ([row(60), WANTED], WHOLE, WRONG, [row(60)], True),
        ([row(60), WANTED], HOLE_AFTER, UNKNOWN, [row(60)], True),
        ([row(101), WANTED], WHOLE, UNKNOWN, [row(101)], True),
        ([row(requests=2), WANTED], WHOLE, UNKNOWN, [row(requests=2)], True),
        # An older row is replaced, whatever it says.
        ([row(40, content=9)], WHOLE, WRONG, [], True),
    ],
)
def test_a_verdict(stored: list[Row], coverage: JournalCoverage, kind: str, removed: list[Row], writes: bool) -> None:
    assert not is_as_wanted(WANTED, stored, is_deleted=False)
    verdict = judge(WANTED, stored, Evidence(coverage, 0))
    assert (verdict.kind, [*verdict.removed], verdict.writes) == (kind, removed, writes)


@pytest.mark.parametrize(("beyond", "seen", "kind"), [
    (row(101), 50, WRONG), (row(101), 120, UNKNOWN), (row(requests=2), 50, WRONG), (row(requests=2), None, UNKNOWN),
])  # fmt: skip
def test_an_aggregate_that_is_as_the_journal_has_it_refutes_what_goes_beyond(
    beyond: Row, seen: int | None, kind: str
) -> None:
    assert judge(WANTED, [beyond, WANTED], Evidence(WHOLE, 0, confirmed_until=seen)).kind == kind


def test_nothing_is_believed_beside_what_is_not_accounted_for() -> None:
    evidence: Any = {"coverage": WHOLE, "partition": 0}
    assert judge(WANTED, [row(content=9)], Evidence(**evidence)).kind == WRONG
    assert judge(WANTED, [row(content=9)], Evidence(**evidence, is_suspect=True)).kind == UNKNOWN
    # The journal has the event, but of the same trace, where it comes to nothing without one that is lost.
    assert judge(WANTED, [row(60), WANTED], Evidence(**evidence, own_places={60})).kind == UNKNOWN


@pytest.mark.parametrize("stored", [[WANTED], [WANTED, WANTED], [row(requests=0)], [row(40, content=9), WANTED]])
def test_a_request_that_changes_nothing_may_be_uncounted_and_older_rows_may_say_what_they_like(
    stored: list[Row],
) -> None:
    assert is_as_wanted(WANTED, stored, is_deleted=False)


def test_a_log_that_begins_anew_leaves_no_hole_and_a_loss_does() -> None:
    base, second = 100 + GAP, 300 + 2 * GAP
    logs = [("a", 0), ("a", 1), ("b", 0)]
    ends = dict.fromkeys(logs, base + 50)
    anew = {log: [SequenceRange(0, 0), SequenceRange(40 + n, base)] for n, log in enumerate(logs)}
    assert without_bases(anew, ends, ()) == {log: [] for log in logs}
    # One log has got nothing since the second base, and another nothing since the first.
    later = {**anew, logs[0]: [SequenceRange(0, 0), SequenceRange(40, second)]}
    assert without_bases(later, {**ends, logs[0]: second + 5}, {second}) == {log: [] for log in logs}
    for lost in (SequenceRange(20, 30), SequenceRange(base + 1, base + 2)):
        holes = {**anew, logs[1]: [*anew[logs[1]], lost]}
        assert without_bases(holes, ends, ()) == {log: [lost] if log == logs[1] else [] for log in logs}
    # The first records of one log, and not of the others.
    head = {**anew, logs[2]: [SequenceRange(0, 3), SequenceRange(42, base)]}
    assert without_bases(head, ends, ())[logs[2]] == [SequenceRange(0, 3)]
    # As wide as a base leaves, but in one log alone.
    wide = {log: [SequenceRange(0, 0)] for log in logs} | {logs[0]: [SequenceRange(0, 0), SequenceRange(7, 7 + GAP)]}
    assert without_bases(wide, dict.fromkeys(logs, 2 * GAP), ())[logs[0]] == [SequenceRange(7, 7 + GAP)]

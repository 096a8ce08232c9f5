"""The work on a trace depends on its new events and not on earlier ones; and a repeated event changes nothing."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from aiokafka.structs import ConsumerRecord
from msgspec import Raw, structs

from schemas import ids
from schemas.murmur2 import murmur2
from stream_workers.join.incoming_events import Created, Deleted, IncomingEvent, Requested, Updated
from stream_workers.join.snapshots import trace_snapshots
from stream_workers.join.state_codec import encode_state
from stream_workers.join.trace_join import apply
from stream_workers.join.trace_state import HashBucket

HASH = murmur2(b"w/t")
AT = datetime(2026, 1, 31, tzinfo=UTC)
BATCH = 50
RECORD = ConsumerRecord("topic", 0, 0, 0, 0, b"", b"", None, 0, 0, ())
comparisons = 0


def counting(method: Callable[..., Any]) -> Callable[..., Any]:
    def count(*operands: Any) -> Any:
        global comparisons
        comparisons += 1
        return method(*operands)

    return count


class Sequence(int):
    """A sequence that counts how often it is compared, as sorting and searching in C do."""

    __lt__, __le__, __gt__, __ge__, __eq__ = map(counting, (int.__lt__, int.__le__, int.__gt__, int.__ge__, int.__eq__))
    __hash__ = int.__hash__


class Name(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    __lt__, __le__, __gt__, __ge__, __eq__ = map(counting, (str.__lt__, str.__le__, str.__gt__, str.__ge__, str.__eq__))
    __hash__ = str.__hash__


def identity(n: int) -> str:
    return str(ids.idempotent_id(HASH, "w", str(n)))


def created(n: int) -> Created:
    return Created(
        workspace="w", feedback_id=identity(n), trace_id="t", value=n % 10, weight=1, metadata=Raw(b"{}"), at=AT
    )


def updated(n: int, value: int) -> Updated:
    return Updated(workspace="w", feedback_id=identity(n), value=value, at=AT + timedelta(seconds=1))


def deleted(n: int) -> Deleted:
    return Deleted(workspace="w", feedback_id=identity(n), at=AT + timedelta(seconds=2))


def requested(n: int) -> Requested:
    name = Name(f"m{n:06}")
    return Requested(
        workspace="w", request_id=identity(-n), trace_id="t", model=name, provider=name, metadata=Raw(b"{}"),
        started_at=AT, at=AT,
    )  # fmt: skip


HISTORIES: dict[str, Callable[[int], list[Any]]] = {
    "edits of one feedback": lambda n: [created(0), *(updated(0, k % 10) for k in range(n))],
    "one create again and again": lambda n: [created(0)] * n,
    "one delete again and again": lambda n: [created(0), *[deleted(0)] * n],
    "one request again and again": lambda n: [created(0), *[requested(0)] * n],
    "feedback": lambda n: [*map(created, range(n))],
    "the newest feedback is deleted": lambda n: [*map(created, range(n)), *map(deleted, reversed(range(n)))],
    "the oldest feedback is deleted": lambda n: [*map(created, range(n)), *map(deleted, range(n))],
    "requests of as many models": lambda n: [created(0), *map(requested, range(n))],
    "requests of as many models in another order": lambda n: [created(0), *map(requested, reversed(range(n)))],
}


def incoming(events: list[Any], since: int = 1, kind: type[int] = Sequence) -> list[IncomingEvent]:
    return [IncomingEvent(event, identity_of(event), HASH, kind(n), RECORD) for n, event in enumerate(events, since)]


def identity_of(event: Any) -> str:
    return str(event.request_id if isinstance(event, Requested) else event.feedback_id)


def steps(work: Callable[[], object]) -> int:
    """How many bytecodes a call runs, and how many comparisons it makes."""
    before, found = comparisons, 0

    def trace(frame: Any, what: str, _: Any) -> Any:
        nonlocal found
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        found += what == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return found + comparisons - before


def joined(all_of_them: list[IncomingEvent], batch: int = BATCH) -> HashBucket:
    bucket = HashBucket()
    for first in range(0, len(all_of_them), batch):
        apply({HASH: bucket}, all_of_them[first : first + batch], {})
    return bucket


@pytest.mark.parametrize("history", HISTORIES)
def test_an_event_takes_as_many_steps_however_many_came_before(history: str) -> None:
    few, twice, more = [steps(partial(joined, incoming(HISTORIES[history](n)))) for n in (200, 400, 800)]
    assert 0 < more - twice < 2.2 * (twice - few)


def test_requests_that_come_at_once_rewrite_a_traces_feedback_once() -> None:
    batches = [incoming([*map(created, range(n)), *map(requested, range(n))]) for n in (100, 200, 400)]
    few, twice, more = [steps(partial(joined, batch, len(batch))) for batch in batches]
    assert 0 < more - twice < 2.2 * (twice - few)


@pytest.mark.parametrize(
    "history", ["edits of one feedback", "one create again and again", "one delete again and again"]
)
def test_what_is_remembered_does_not_grow_with_what_came_again(history: str) -> None:
    few, many = [encode_state(joined(incoming(HISTORIES[history](n), 2**32, int)), 10**9) for n in (10, 1000)]
    assert len(few) == len(many)


@pytest.mark.parametrize("again", [created(0), deleted(2)], ids=["create", "delete"])
def test_what_is_repeated_changes_nothing_but_is_recorded(again: Any) -> None:
    bucket = joined(incoming([created(0), created(1), created(2), deleted(2)]))
    (before,) = trace_snapshots(bucket.traces)
    changes = apply({HASH: bucket}, incoming([again], 9), {})
    assert (len(changes.journal), changes.rejected) == (1, [])
    (after,) = changes.traces
    # Rows of before may have been stored under the sequence of a repetition, so a version never goes back.
    assert after.version >> 16 == 9
    assert after == structs.replace(before, version=after.version)
    (feedback,) = changes.feedback
    assert feedback.version >> 16 == 9


def test_events_that_the_journal_had_lost_come_to_the_same_when_all_is_read_again() -> None:
    whole = incoming(
        [created(0), updated(0, 3), created(1), requested(0), updated(0, 4), updated(1, 5), deleted(1), created(2)]
    )
    wanted = joined(whole)
    for lost in range(len(whole)):
        bucket = joined(whole[:lost] + whole[lost + 1 :])
        assert not apply({HASH: bucket}, whole, {}).rejected
        assert state_of(bucket) == state_of(wanted)


def state_of(bucket: HashBucket) -> Any:
    (trace,) = bucket.traces
    feedback = {each.feedback_id: each for each in trace.feedback()}
    return trace.sequence, trace.updated_at, trace.totals, trace.facts, trace.last, feedback

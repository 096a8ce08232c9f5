"""The state of a vote is that of its events in order, also where some of them are applied again later."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from stream_workers.join.feedback import FeedbackState
from stream_workers.join.incoming_events import Created, Deleted, FeedbackEvent, Updated

ID = "019af000-0000-8000-8000-00001a2b3c4d"
BEGIN = datetime(2026, 1, 31, tzinfo=UTC)


def event(kind: str, number: int) -> FeedbackEvent:
    at, value = BEGIN + timedelta(seconds=number), number % 21 - 10
    if kind == "delete":
        return Deleted(workspace="w", feedback_id=ID, at=at)
    if kind == "update":
        return Updated(workspace="w", feedback_id=ID, value=value, at=at)
    return Created(
        workspace="w", feedback_id=ID, trace_id="t", value=value, weight=0.5, metadata=Raw(b"{}"), replaces=True, at=at
    )


def after(events: list[FeedbackEvent]) -> FeedbackState:
    first, *others = events
    assert isinstance(first, Created)
    state = FeedbackState.create(first, 0)
    for sequence, each in enumerate(others, 1):
        state.apply(each, sequence)
    return state


@given(st.lists(st.sampled_from(["vote", "update", "delete"]), max_size=12), st.data())
def test_events_that_are_read_again_change_nothing(kinds: list[str], data: st.DataObject) -> None:
    events = [event(kind, number) for number, kind in enumerate(["vote", *kinds])]
    state, again = after(events), after(events)
    begin = data.draw(st.integers(0, len(events) - 1))
    for sequence in range(begin, len(events)):
        again.apply(events[sequence], sequence)
        assert again == state


@given(st.lists(st.sampled_from(["vote", "update", "delete"]), max_size=12))
def test_a_vote_stands_as_its_latest_events_say(kinds: list[str]) -> None:
    events = [event(kind, number) for number, kind in enumerate(["vote", *kinds])]
    value, stands = 0, False
    for number, kind in enumerate(["vote", *kinds]):
        if kind == "vote" or (kind == "update" and stands):
            value = number % 21 - 10
        stands = kind == "vote" or (stands and kind != "delete")
    state = after(events)
    assert (state.value, state.deleted) == (value, not stands)

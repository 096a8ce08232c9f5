"""What a worker remembers of a trace as bytes is the very state that it was."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from stream_workers.join.decode import Created, Deleted, Updated
from stream_workers.join.feedback import Conflict
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.state_codec import LARGE, pack, unpack
from stream_workers.join.trace_state import Bucket, Entry, fold

AT = datetime(2026, 1, 31, tzinfo=UTC)
TEXTS = st.sampled_from([None, "", "o1", "\N{GRINNING FACE}", "x" * 300])


@st.composite
def events(draw: st.DrawFn) -> tuple[Any, str]:
    """An event on one of a few ids and traces, and that id."""
    n = draw(st.integers(0, 4))
    feedback_id, trace = f"00000000-0000-7000-8000-00000000000{n}", f"t{n % 2}"
    special: dict[str, Any] = {"user": draw(TEXTS), "organisation": draw(TEXTS)}
    value, weight = draw(st.integers(-10, 10)), draw(st.floats(0, 1))
    match draw(st.sampled_from("cudr")):
        case "c":
            metadata = Raw(b'{"n": 1}')
            return Created(
                workspace="w", feedback_id=feedback_id, trace_id=trace, value=value, weight=weight, metadata=metadata,
                at=AT, **special,
            ), feedback_id  # fmt: skip
        case "u":
            return Updated(workspace="w", feedback_id=feedback_id, value=value, at=AT, **special), feedback_id
        case "d":
            return Deleted(workspace="w", feedback_id=feedback_id, at=AT), feedback_id
    return RequestFact("w", trace, draw(st.integers(0, 9)), draw(TEXTS), draw(TEXTS), **special), f"r{n}"


def folded(given: list[tuple[Any, str]]) -> Bucket:
    """The bucket of the events that contradict nothing, which are all that a journal ever holds."""
    entries: list[Entry] = []
    for sequence, (event, identity) in enumerate(given):
        try:
            fold([*entries, (event, identity, sequence)])
        except Conflict:
            continue
        entries.append((event, identity, sequence))
    return fold(entries)


def taken_apart(bucket: Bucket) -> Bucket:
    """The bucket with no feedback left as bytes, so that it can be compared."""
    for trace in bucket.traces:
        trace.feedback()
    return bucket


@given(st.lists(events(), max_size=15), st.sampled_from([0, 300, 1_000_000]))
def test_what_is_unpacked_is_what_was_packed(given: list[tuple[Any, str]], compress_from: int) -> None:
    bucket = folded(given)
    packed = pack(bucket, compress_from)
    assert isinstance(packed, bytes)
    assert taken_apart(unpack(packed)) == bucket
    assert taken_apart(unpack(pack(unpack(packed), compress_from))) == bucket
    assert [trace.last for trace in unpack(packed).traces] == [trace.last for trace in bucket.traces]


def test_what_is_unpacked_can_be_changed_and_what_was_packed_stays() -> None:
    bucket = Bucket()
    bucket.add("w", "t").facts.requests["r"] = 1
    packed = pack(bucket, 0)
    unpack(packed).traces[0].facts.requests["s"] = 2
    assert unpack(packed) == bucket


def test_a_large_bucket_is_not_taken_apart_for_every_poll() -> None:
    bucket = Bucket()
    bucket.add("w", "t").facts.requests.update({f"r{n}": n for n in range(LARGE)})
    assert unpack(pack(bucket, 0)) is bucket
    assert len(pack(bucket, 0)) > 100 * LARGE

"""A state that was encoded and decoded equals the state before."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from stream_workers.join.feedback import Conflict
from stream_workers.join.incoming_events import Created, Deleted, Updated
from stream_workers.join.request_facts import RequestFact
from stream_workers.join.state_codec import LARGE, decode_state, encode_state
from stream_workers.join.trace_state import Entry, HashBucket, fold

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


def folded(given: list[tuple[Any, str]]) -> HashBucket:
    """The bucket after those events that contradict no other: a journal holds only such events."""
    entries: list[Entry] = []
    for sequence, (event, identity) in enumerate(given):
        try:
            fold([*entries, (event, identity, sequence)])
        except Conflict:
            continue
        entries.append((event, identity, sequence))
    return fold(entries)


def fully_decoded(bucket: HashBucket) -> HashBucket:
    """The bucket with all its feedback decoded, so that it can be compared."""
    for trace in bucket.traces:
        trace.feedback()
    return bucket


@given(st.lists(events(), max_size=15), st.sampled_from([0, 300, 1_000_000]))
def test_a_decoded_state_equals_the_encoded_one(given: list[tuple[Any, str]], compress_from: int) -> None:
    bucket = folded(given)
    encoded = encode_state(bucket, compress_from)
    assert isinstance(encoded, bytes)
    assert fully_decoded(decode_state(encoded)) == bucket
    assert fully_decoded(decode_state(encode_state(decode_state(encoded), compress_from))) == bucket
    assert [trace.last for trace in decode_state(encoded).traces] == [trace.last for trace in bucket.traces]


def test_changing_a_decoded_state_leaves_the_encoded_one_as_it_was() -> None:
    bucket = HashBucket()
    bucket.add("w", "t").facts.requests["r"] = 1
    encoded = encode_state(bucket, 0)
    decode_state(encoded).traces[0].facts.requests["s"] = 2
    assert decode_state(encoded) == bucket


def test_a_large_bucket_is_not_encoded() -> None:
    bucket = HashBucket()
    bucket.add("w", "t").facts.requests.update({f"r{n}": n for n in range(LARGE)})
    assert decode_state(encode_state(bucket, 0)) is bucket
    assert len(encode_state(bucket, 0)) > 100 * LARGE

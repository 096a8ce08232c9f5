"""What is logged of bodies: whatever passes, something that can be stored."""

import base64
import gzip
import json
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_client.storable import MAX_DEPTH, check_storable
from gateway.call_record import TAIL_BYTES, CallRecord, HeldBytes, KeptBody
from gateway.call_trace import CallTrace
from gateway.logged_body import logged_body

JSON = "application/json"
MOST = 4_096


def kept_body(*chunks: bytes, most: int = MOST, held: HeldBytes | None = None) -> KeptBody:
    body = KeptBody(held or HeldBytes(10_000_000), most)
    for chunk in chunks:
        body.add(chunk)
    return body


def logged(*chunks: bytes, kind: str = JSON, coding: str = "") -> Any:
    return logged_body(kept_body(*chunks), kind, coding, MOST)


def test_json_is_logged_as_json_whatever_its_type_is_called() -> None:
    assert logged(b'{"a":', b" [1, null]}", kind="text/plain") == {"a": [1, None]}
    assert logged(b"") is None


@pytest.mark.parametrize("body", [b"{", b"NaN", b'"\\u0000"', b'"\\ud800"', b"[" * 200 + b"]" * 200, b"1" * 400])
def test_what_cannot_be_stored_as_json_is_logged_as_text(body: bytes) -> None:
    assert logged(body) == body.decode()


def test_a_nul_is_replaced() -> None:
    assert logged(b"a\0b", kind="text/plain") == "a\ufffdb"


def test_bytes_are_logged_whole_or_by_their_beginning() -> None:
    body = bytes(range(128, 256)) * 8
    assert logged(body) == {"$binary": {"bytes": 1024, "base64": base64.b64encode(body).decode()}}
    assert logged(body * 9) == {"$binary": {"bytes": 9216, "base64": base64.b64encode(body[:1000]).decode()}}


def test_a_character_that_the_limit_cuts_is_no_reason_to_take_a_text_for_bytes() -> None:
    text = "ä" * 5_000
    assert logged(b"x" + text.encode())["$truncated"] == {"bytes": 10_001, "prefix": ("x" + text)[:1000]}


@pytest.mark.parametrize(
    "coded",
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda body: zlib.compress(body)[2:-4])],
)
def test_compressed_bodies_are_read(coded: tuple[str, Any]) -> None:
    coding, compress = coded
    assert logged(compress(b'{"model": "m"}'), coding=coding) == {"model": "m"}


def test_a_body_in_an_unknown_coding_is_bytes_and_a_bomb_is_cut() -> None:
    assert "$binary" in logged(b"\x8b\x02", coding="br")
    bomb = gzip.compress(b'{"model": "m", "x": "' + b"0" * 3_000_000)
    found = logged_body(kept_body(bomb), JSON, "gzip", MOST)
    assert found["model"] == "m"
    assert found["$truncated"]["prefix"].startswith('{"model": "m"')


def test_a_large_body_tells_its_model_and_what_it_used() -> None:
    body = json.dumps({"model": "m", "data": "x" * 200_000, "usage": {"total_tokens": 3, "details": {"a": 1}}}).encode()
    for chunks in ([body], [body[at : at + 1_000] for at in range(0, len(body), 1_000)]):
        found = logged(*chunks)
        assert (found["model"], found["usage"]) == ("m", {"total_tokens": 3, "details": {"a": 1}})
        assert found["$truncated"]["bytes"] == len(body)


def streamed(words: int) -> Any:
    """What is logged of a chat's stream of so many words, which ends with its usage."""
    record = CallRecord("POST", "http://h/", "p", CallTrace("t"), [], HeldBytes(100_000_000), MOST)
    record.begin_response(200, [(b"Content-Type", b"text/event-stream; charset=utf-8")])
    chunk = {"model": "m", "choices": [{"index": 0, "delta": {"content": "word "}}]}
    for _ in range(words):
        record.response_body.add(f"data: {json.dumps(chunk)}\n\n".encode())
    record.response_body.add(b'data: {"model": "m", "choices": [], "usage": {"total_tokens": 9}}\n\ndata: [DONE]\n\n')
    return logged_body(record.response_body, "text/event-stream; charset=utf-8", "", MOST)


def test_a_stream_is_logged_as_its_answer_although_its_events_are_longer_than_a_body_may_be() -> None:
    answer = streamed(300)
    assert answer["choices"][0]["message"]["content"] == "word " * 300
    assert answer["usage"] == {"total_tokens": 9}


@pytest.mark.parametrize("words", [1_000, 20_000])
def test_of_a_stream_that_is_too_long_the_model_and_the_usage_are_logged(words: int) -> None:
    answer = streamed(words)
    assert (answer["model"], answer["usage"]) == ("m", {"total_tokens": 9})
    assert answer["$truncated"]["bytes"] > 80 * words


def test_what_is_kept_of_a_body_is_bounded_and_given_back() -> None:
    held = HeldBytes(1_000_000)
    body = kept_body(*[b"x" * 1_000] * 5_000, most=MOST, held=held)
    assert (len(body.head), body.tail, body.total) == (MOST, b"x" * TAIL_BYTES, 5_000_000)
    assert held.held == MOST + TAIL_BYTES
    body.release()
    assert held.held == 0


def test_calls_that_find_no_room_keep_nothing_but_their_size() -> None:
    held = HeldBytes(10)
    body = kept_body(b"x" * 11, b"y", most=MOST, held=held)
    assert (body.head, body.total, body.is_whole) == (b"", 12, False)
    assert held.held == 0


@given(
    st.lists(st.binary(max_size=300), max_size=40),
    st.sampled_from([JSON, "text/plain", "text/event-stream", "audio/wav", ""]),
    st.sampled_from(["", "gzip", "deflate", "br"]),
)
def test_whatever_passes_can_be_stored(chunks: list[bytes], kind: str, coding: str) -> None:
    check_storable(logged(*chunks, kind=kind, coding=coding), "a body", MAX_DEPTH - 3)


def test_no_more_is_kept_of_all_bodies_than_the_bound_however_they_come() -> None:
    held = HeldBytes(100_000)
    tracemalloc.start()
    bodies = [kept_body(*(b"ab" for _ in range(5_000)), bytes(TAIL_BYTES), held=held) for _ in range(40)]
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 2 * 100_000
    for each in bodies:
        each.release()
    assert held.held == 0


def test_a_stream_of_which_the_end_is_not_kept_is_not_logged_as_whole() -> None:
    events = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'
    body = kept_body(*[events] * 100, held=HeldBytes(2_000))
    answer = logged_body(body, "text/event-stream", "", MOST)
    assert answer["$truncated"]["bytes"] == 100 * len(events)


def test_of_a_text_full_of_usages_few_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def decode(text: str, place: int) -> Any:
        tried.append(place)
        return json.JSONDecoder().raw_decode(text, place)

    monkeypatch.setattr("gateway.logged_body._decode", decode)
    assert "usage" not in logged(b'"usage":{' * 20_000)
    assert len(tried) <= 10

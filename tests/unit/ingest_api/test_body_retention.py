"""How much of a body is stored, and that facts never depend on it."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ingest_api.validation.body_retention import PREFIX_CHARS
from ingest_api.validation.json_limits import dump
from ingest_api.validation.request_log import log
from schemas.events import RequestLogged
from tests.unit.ingest_api.test_request_log import CALL, LIMITS

BODIES = {
    "request": {"body": {"model": "m-1", "user": "u", "messages": ['\u00e9\U0001f600 "quoted"' * 700]}},
    "response": {"body": {"usage": {"input_tokens": 3, "output_tokens": 4}, "text": "x" * 9_000}},
}


def event(body: Any = BODIES, keep_bodies: bool = True, logged_body_bytes: int = 4_096) -> RequestLogged:
    limits = replace(LIMITS, keep_bodies=keep_bodies, logged_body_bytes=logged_body_bytes)
    (record,) = log(json.dumps(body).encode(), {}, CALL, limits).records
    return RequestLogged.model_validate_json(record.value)


def test_facts_are_read_from_bodies_that_are_not_stored() -> None:
    whole = event(logged_body_bytes=1_000_000)
    assert (whole.model, whole.user, whole.total_tokens) == ("m-1", "u", 7)
    for reduced in (event(), event(keep_bodies=False)):
        names = ("model", "user", "prompt_tokens", "completion_tokens", "total_tokens")
        assert [getattr(reduced, name) for name in names] == [getattr(whole, name) for name in names]


def test_no_body_is_stored_where_bodies_are_not_kept() -> None:
    reduced = event(keep_bodies=False)
    assert (reduced.request_body, reduced.response_body) == (None, None)


def test_of_a_body_beyond_the_limit_its_size_and_beginning_are_stored() -> None:
    whole = json.dumps(BODIES["request"]["body"], ensure_ascii=False, separators=(",", ":"))
    stored = event().request_body["$truncated"]
    assert stored == {"bytes": len(whole.encode()), "prefix": whole[:PREFIX_CHARS]}


def test_a_body_of_just_the_limit_is_stored_completely() -> None:
    body = "x" * (4_096 - 2)
    assert event({"request": {"body": body}, "response": {}}).request_body == body
    longer = event({"request": {"body": body + "x"}, "response": {}}).request_body
    assert longer == {"$truncated": {"bytes": 4_097, "prefix": '"' + "x" * (PREFIX_CHARS - 1)}}


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1_400), st.integers(0, 3))
def test_the_replacement_of_a_body_holds_its_beginning_and_is_within_the_limit(text: str, shift: int) -> None:
    body = "x" * shift + text * 3
    stored = event({"request": {"body": body}, "response": {}}).request_body
    whole = dump(body)
    assert stored["$truncated"]["bytes"] == len(whole)
    assert whole.decode().startswith(stored["$truncated"]["prefix"])
    assert len(stored["$truncated"]["prefix"]) == PREFIX_CHARS
    assert len(dump(stored)) <= 4_096

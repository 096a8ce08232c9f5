"""A vote token says what its maker signed, and any other is refused, whichever of the two programs made it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_client.vote_tokens import vote_token
from schemas.api_keys import new_key
from schemas.ids import idempotent_id, trace_hash_of, vote_id
from schemas.vote_tokens import MOST_TOKEN_CHARS, claims_of, is_signed_by, sign, token_in

SECRET, KEY = new_key("acme", ["feedback.token"], datetime.now(UTC))
_, OTHER = new_key("acme", ["feedback.token"], datetime.now(UTC))
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
CLAIMS = st.fixed_dictionaries(
    {
        "trace_id": TEXTS,
        "expires_at": st.integers(0, 2**53 - 1),
        "values": st.lists(st.integers(-10, 10), min_size=1, max_size=21),
        "weight": st.floats(0, 1),
        "votes": st.sampled_from(["one", "many"]),
        "voter": TEXTS,
        "metadata": st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), max_size=4),
    }
)


def signed_token(claims: dict[str, Any]) -> str:
    return sign(KEY.key_id, KEY.hash, json.dumps(claims).encode())


@given(CLAIMS)
def test_a_token_says_what_was_signed(claims: dict[str, Any]) -> None:
    token = token_in(signed_token(claims))
    assert token is not None
    assert is_signed_by(token, KEY.hash)
    assert json.loads(claims_of(token).model_dump_json()) == claims


@given(CLAIMS, st.data())
def test_a_token_with_any_byte_changed_is_refused(claims: dict[str, Any], data: st.DataObject) -> None:
    text = signed_token(claims)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda each: each != text[place]))
    token = token_in(text[:place] + other + text[place + 1 :])
    # Another key id is looked up, and that key has not signed it.
    assert token is None or not is_signed_by(token, KEY.hash)


def test_no_byte_of_a_token_can_be_changed_added_or_left_out() -> None:
    text = signed_token({"trace_id": "t", "expires_at": 1, "values": [0, 1], "voter": "v"})
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"
    forged = {text[:n] + each + text[n + 1 :] for n in range(len(text)) for each in alphabet}
    forged |= {text[:n] + each + text[n:] for n in range(len(text) + 1) for each in alphabet}
    forged |= {text[:n] + text[n + 1 :] for n in range(len(text))} | {text[:n] for n in range(len(text))}
    for each in forged - {text}:
        token = token_in(each)
        assert token is None or not is_signed_by(token, KEY.hash), each


def test_another_key_has_not_made_it() -> None:
    token = token_in(signed_token({"trace_id": "t", "expires_at": 1, "values": [1], "voter": "v"}))
    assert token is not None
    assert not is_signed_by(token, OTHER.hash)
    assert not is_signed_by(token, None)
    assert not is_signed_by(token, "0" * 64)


def test_nobody_signs_with_the_key_that_stands_in_for_an_unknown_one() -> None:
    token = token_in(sign(KEY.key_id, "0" * 64, b"{}"))
    assert token is not None
    assert not is_signed_by(token, None)


@pytest.mark.parametrize(
    "fault",
    [
        {"values": []},
        {"values": [11]},
        {"values": [1.5]},
        {"values": [True]},
        {"weight": 1.1},
        {"expires_at": "1"},
        {"votes": "several"},
        {"voter": ""},
        {"trace_id": ""},
        {"metadata": "{}"},
        {"only_on_sundays": True},
    ],
    ids=str,
)
def test_claims_that_are_not_valid_or_not_known_are_refused(fault: dict[str, Any]) -> None:
    token = token_in(signed_token({"trace_id": "t", "expires_at": 1, "values": [1], "voter": "v", **fault}))
    assert token is not None
    with pytest.raises(ValueError, match="validation error"):
        claims_of(token)


def test_a_text_too_long_for_a_header_is_no_token() -> None:
    assert token_in("fbt_" + "0" * 12 + "." + "a" * MOST_TOKEN_CHARS + "." + "a" * 43) is None


@given(TEXTS, st.lists(st.integers(-10, 10), min_size=1), st.floats(0, 1), st.sampled_from(["one", "many"]), TEXTS)
def test_the_clients_tokens_are_the_servers(
    trace_id: str, values: list[int], weight: float, votes: Any, user: str
) -> None:
    text = vote_token(trace_id, values=values, weight=weight, votes=votes, user=user, api_key=SECRET)
    token = token_in(text)
    assert token is not None
    assert is_signed_by(token, KEY.hash)
    claims = claims_of(token)
    assert (claims.trace_id, claims.voter, claims.metadata) == (trace_id, user, {"_user": user})
    assert (set(claims.values), claims.votes) == (set(values), votes)
    assert claims.weight == pytest.approx(weight, abs=1e-9)


def test_a_vote_has_an_id_of_its_own_on_its_trace() -> None:
    parts = [("a", "t", "v", ""), ("b", "t", "v", ""), ("a", "u", "v", ""), ("a", "t", "w", ""), ("a", "t", "v", "1")]
    parts += [("a", "tv", "", ""), ("a", "t", "", "v")]
    ids = [vote_id(7, *each) for each in parts]
    assert len(set(ids)) == len(parts)
    assert {trace_hash_of(each) for each in ids} == {7}
    assert vote_id(7, "a", "t", "v") == ids[0]
    assert idempotent_id(7, "a", "t") not in ids

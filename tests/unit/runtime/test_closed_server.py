"""Whether the API is open when places of keys were lost, restored from before, or never read: every combination.

The places are the topic of Kafka, the table of ClickHouse, and the file in a data folder. What each knows is one of a
few words; the rule stands here once more, in words, and the store that both halves of the API share must keep to it.
"""

import itertools
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.api_keys.stored_keys import reopening_records, union_of
from runtime.api_key_authentication import OPEN, ApiKeyAuthenticator
from runtime.api_key_store import ApiKeyStore
from runtime.closed_server_mark import remember_in
from runtime.http_errors import ApiError
from schemas.api_keys import ApiKey, new_key

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
SECRET, KEY = new_key("mine", ["admin"], AT)
LEFT_BEHIND = reopening_records([KEY], AT)
LATER_SECRET, LATER = new_key("mine", ["admin"], AT)

PLACE: dict[str, list[ApiKey]] = {
    "unread": [],
    "empty": [],  # lost, or restored from before the first key
    "key": [KEY],
    "revoked": [KEY.revoked(AT)],
    "opened": LEFT_BEHIND,
    "opened, then a key": [*LEFT_BEHIND, LATER],
}
MARK = {
    "no file": None,
    "closed": [],
    "closed after the opening": [key.key_id for key in LEFT_BEHIND],
    "damaged": "{",
}


def rule(places: list[str], mark: str, required: bool) -> str:
    """Open, closed, or unknown."""
    if required or mark == "damaged" or "opened, then a key" in places:
        return "closed"
    # An opening leaves the key behind wherever it was not heard of.
    has_key, was_opened = {"key", "revoked"} & {*places}, "opened" in places
    if has_key and not was_opened:
        return "closed"
    if mark == "closed after the opening" or (mark == "closed" and not was_opened):
        return "closed"
    return "unknown" if "unread" in places else "open"


def answer(auth: ApiKeyAuthenticator, headers: dict[bytes, bytes]) -> int:
    try:
        return 200 if auth.authenticate(headers, "logs.read", 0) else 0
    except ApiError as refusal:
        return refusal.status


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("mark", MARK)
def test_closed_anywhere_is_closed_and_open_is_only_what_was_read_everywhere(
    mark: str, required: bool, tmp_path: Path
) -> None:
    chance = random.Random(1)
    for places in itertools.product(PLACE, repeat=2):
        for _ in range(4):
            file = tmp_path / "closed"
            file.unlink(missing_ok=True)
            if (left_behind := MARK[mark]) is not None:
                file.write_text(left_behind if mark == "damaged" else json.dumps({"left_behind": left_behind}))
            store = ApiKeyStore(required)
            remember_in(file, store)
            auths = [ApiKeyAuthenticator(name, store) for name in ("Kafka", "ClickHouse")]
            steps = [(auth, key) for auth, place in zip(auths, places, strict=True) for key in PLACE[place]]
            chance.shuffle(steps)  # records come as they like
            for auth, key in steps:
                auth.store.upsert(key)
            for auth, place in zip(auths, places, strict=True):
                if place != "unread":
                    auth.mark_fresh(0)
            expected = rule(list(places), mark, required)
            assert store.is_open == (expected == "open"), places
            for auth, place in zip(auths, places, strict=True):
                status = {"open": 200, "closed": 401, "unknown": 503}[expected] if place != "unread" else 503
                assert answer(auth, {}) == status, (places, mark)
                if expected == "open":
                    assert auth.authenticate({}, "admin", 0) == OPEN
            # What is known now is still known after all places are lost.
            again = ApiKeyStore()
            remember_in(file, again)
            if expected != "unknown" and mark != "damaged":
                assert again.is_closed == (rule(list(places), mark, False) == "closed"), (places, mark)


def test_a_key_of_either_place_opens_both_halves_and_a_revocation_in_either_shuts_both() -> None:
    for first, second in ((0, 1), (1, 0)):
        auths = [ApiKeyAuthenticator(name, store) for store in [ApiKeyStore()] for name in ("Kafka", "ClickHouse")]
        for auth in auths:
            auth.mark_fresh(0)
        headers = {b"x-portkey-api-key": SECRET.encode()}
        auths[first].store.upsert(KEY)
        assert [answer(auth, headers) for auth in auths] == [200, 200]
        assert [answer(auth, {}) for auth in auths] == [401, 401]
        auths[second].store.upsert(KEY.revoked(AT))
        auths[first].store.upsert(KEY)
        assert [answer(auth, headers) for auth in auths] == [401, 401]


def test_an_open_half_says_which_place_it_waits_for() -> None:
    store = ApiKeyStore()
    edge, _ = ApiKeyAuthenticator("Kafka", store), ApiKeyAuthenticator("ClickHouse", store)
    edge.mark_fresh(0)
    assert "ClickHouse has not been read" in edge.fault(0)
    store.upsert(KEY)
    assert edge.fault(0) == ""


records = st.lists(st.sampled_from([KEY, KEY.revoked(AT), *LEFT_BEHIND, LATER]), max_size=6)


@given(records, records)
def test_both_places_come_to_the_same_and_lose_nothing(in_clickhouse: list[ApiKey], in_kafka: list[ApiKey]) -> None:
    found = union_of(in_clickhouse, in_kafka)
    given_keys = in_clickhouse + in_kafka
    wanted = {key.key_id: max(k.stage for k in given_keys if k.key_id == key.key_id) for key in found.keys}
    assert {key.key_id for key in given_keys} == set(wanted)
    for place, lacking in ((in_clickhouse, found.lacking_in_clickhouse), (in_kafka, found.lacking_in_kafka)):
        after = union_of([*place, *lacking], [])
        assert {key.key_id: key.stage for key in after.keys} == wanted
        assert union_of(after.keys, found.keys)[1:] == ([], []), "a second time there is nothing to do"
        assert all(key.stage > max((k.stage for k in place if k.key_id == key.key_id), default=-1) for key in lacking)


def test_an_opening_leaves_all_behind_and_is_told_from_every_other() -> None:
    for keys in ([], [KEY], [KEY.revoked(AT), LATER], LEFT_BEHIND):
        changed = reopening_records(keys, AT)
        store = ApiKeyStore()
        for key in (*keys, *changed):
            store.upsert(key)
        assert not store.is_closed
        assert all(key.revoked_at and key.reopened_at for key in changed)
        assert store.left_behind > {key.key_id for key in keys}


def test_an_opening_that_was_cut_off_opens_nothing() -> None:
    changed = reopening_records([KEY, LATER], AT)
    for count in range(len(changed)):
        store = ApiKeyStore()
        for key in (KEY, LATER, *(each for each in changed[:count])):
            store.upsert(key)
        assert store.is_closed == (count < 2)

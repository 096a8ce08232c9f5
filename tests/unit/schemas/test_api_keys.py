"""Who is let in and who is not: keys, their scopes, and what an authenticator does while it knows too little."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runtime.api_key_authentication import OPEN, STALE_AFTER_MS, ApiKeyAuthenticator, Caller
from runtime.api_key_store import ApiKeyStore
from runtime.http_errors import ApiError
from schemas.api_keys import ApiKey, new_key, presented_key
from schemas.key_scopes import SCOPES, Scope

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
WRITE: Scope = "feedback.write"


def made_key(*scopes: Scope, workspace: str = "w", **more: Any) -> tuple[bytes, ApiKey]:
    secret, key = new_key(workspace, scopes or (WRITE,), NOW, **more)
    return secret.encode(), key


def auth_of(*keys: ApiKey, require_keys: bool = False) -> ApiKeyAuthenticator:
    auth = ApiKeyAuthenticator("the test", ApiKeyStore(require_keys))
    for key in keys:
        auth.store.upsert(key)
    auth.mark_fresh(NOW_MS)
    return auth


def caller(auth: ApiKeyAuthenticator, secret: bytes | None, scope: Scope = WRITE, at: datetime = NOW) -> Caller:
    headers = {} if secret is None else {b"x-portkey-api-key": secret}
    auth.mark_fresh(int(at.timestamp() * 1000))
    return auth.authenticate(headers, scope, int(at.timestamp() * 1000))


def refusal(
    auth: ApiKeyAuthenticator, secret: bytes | None, scope: Scope = WRITE, at: datetime = NOW
) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        caller(auth, secret, scope, at)
    return refused.value.status, refused.value.message


def test_a_key_has_a_prefix_an_id_and_256_random_bits_of_which_a_hash_is_kept() -> None:
    keys = [made_key() for _ in range(200)]
    for secret, key in keys:
        given = presented_key(secret)
        assert given is not None
        assert secret.startswith(b"fbk_" + given.key_id.encode())
        assert key.key_id == given.key_id
        assert key.fits(secret)
        assert secret.rpartition(b"_")[2].decode() not in key.model_dump_json()
    secrets = [int(secret.rpartition(b"_")[2], 16) for secret, _ in keys]
    ever, always = 0, 2**256 - 1
    for each in secrets:
        ever, always = ever | each, always & each
    assert (ever, always) == (2**256 - 1, 0), "every one of 256 bits is chance"


@pytest.mark.parametrize("header", ["x-portkey-api-key", "authorization"])
@pytest.mark.parametrize("word", ["", "Bearer ", "bearer  "])
def test_both_headers_carry_a_key_with_or_without_the_word(header: str, word: str) -> None:
    secret, key = made_key(workspace="mine")
    auth = auth_of(key)
    for _ in range(2):  # the second time it is remembered
        found = auth.authenticate({header.encode(): word.encode() + secret}, WRITE, NOW_MS)
        assert (found.workspace, found.key_id, found.scopes) == ("mine", key.key_id, {WRITE})


def test_the_header_of_portkey_wins_over_one_that_is_for_the_provider() -> None:
    secret, key = made_key()
    auth = auth_of(key)
    headers = {b"x-portkey-api-key": secret, b"authorization": b"Bearer sk-provider"}
    assert auth.authenticate(headers, WRITE, NOW_MS).key_id == key.key_id
    with pytest.raises(ApiError):
        auth.authenticate(
            {b"x-portkey-api-key": b"sk-provider", b"authorization": b"Bearer sk-provider"}, WRITE, NOW_MS
        )


@pytest.mark.parametrize("closed", [True, False])
def test_two_keys_in_two_headers_are_refused_and_one_key_in_both_is_one(closed: bool) -> None:
    (secret, key), (other, another) = made_key(workspace="mine"), made_key(workspace="theirs")
    auth = auth_of(*[each if closed else each.left_behind(NOW) for each in (key, another)])
    for first, second in ((secret, other), (other, secret), (b"wrong", secret)):
        with pytest.raises(ApiError, match="x-portkey-api-key and Authorization") as refused:
            auth.authenticate({b"x-portkey-api-key": first, b"authorization": b"Bearer " + second}, WRITE, NOW_MS)
        assert refused.value.status == 400
    both = {b"x-portkey-api-key": secret, b"authorization": b"Bearer " + secret}
    assert auth.authenticate(both, WRITE, NOW_MS).workspace == ("mine" if closed else "default")


@given(st.sampled_from(SCOPES), st.sets(st.sampled_from(SCOPES), min_size=1))
def test_a_scope_is_had_if_it_was_given_and_admin_has_all(wanted: Scope, given_scopes: set[Scope]) -> None:
    secret, key = made_key(*given_scopes)
    auth = auth_of(key)
    if wanted in given_scopes or "admin" in given_scopes:
        assert caller(auth, secret, wanted).key_id == key.key_id
    else:
        status, message = refusal(auth, secret, wanted)
        assert status == 403
        assert wanted in message


@given(st.binary(max_size=90) | st.from_regex(rb"(Bearer )?fbk_[0-9a-f]{12}_[0-9a-f]{64}", fullmatch=True), st.data())
def test_nothing_but_the_whole_key_is_let_in(presented_bytes: bytes, data: st.DataObject) -> None:
    secret, key = made_key()
    auth = auth_of(key)
    assert refusal(auth, presented_bytes)[0] == 401
    place = data.draw(st.integers(0, len(secret) - 1))
    other = secret[:place] + bytes([secret[place] ^ 1]) + secret[place + 1 :]
    caller(auth, secret)
    for wrong in (other, secret[:-1], secret + b"0", secret.upper()):
        assert refusal(auth, wrong)[0] == 401
        assert secret.decode() not in refusal(auth, wrong)[1]


def test_a_missing_key_an_expired_and_a_revoked_one_are_told_apart() -> None:
    expiring, first = made_key(expires_at=NOW + timedelta(hours=1))
    gone, second = made_key()
    auth = auth_of(first, second.revoked(NOW))
    assert "an API key is needed" in refusal(auth, None)[1]
    assert refusal(auth, b"")[0] == 401
    assert "was revoked at 2026-01-31T12:00Z" in refusal(auth, gone)[1]
    assert caller(auth, expiring, at=NOW + timedelta(minutes=59)).workspace == "w"
    status, message = refusal(auth, expiring, at=NOW + timedelta(hours=1))
    assert (status, "expired at 2026-01-31T13:00Z" in message) == (401, True)


def test_a_revocation_is_in_force_at_once_and_for_good() -> None:
    secret, key = made_key()
    other_secret, other = made_key()
    auth = auth_of(key, other)
    caller(auth, secret)
    auth.store.upsert(key.revoked(NOW))
    assert refusal(auth, secret)[0] == 401
    auth.store.upsert(key)  # an older record that is read again
    assert refusal(auth, secret)[0] == 401
    assert caller(auth, other_secret).key_id == other.key_id


def test_it_is_open_until_a_key_exists_and_never_again() -> None:
    auth = auth_of()
    assert caller(auth, None) == caller(auth, b"whatever") == OPEN
    assert (OPEN.workspace, OPEN.scopes) == ("default", set(SCOPES))
    _, key = made_key()
    auth.store.upsert(key.revoked(NOW))
    assert refusal(auth, None)[0] == 401
    assert refusal(auth, b"whatever")[0] == 401


def test_a_call_with_the_first_key_is_never_taken_for_one_of_everybody() -> None:
    auth = auth_of()
    first, key = made_key()
    status, message = refusal(auth, first)
    assert (status, f"no API key {key.key_id} is known here" in message) == (401, True)
    assert caller(auth, None) == OPEN, "who sends no key is still let in"
    auth.store.upsert(key)
    assert caller(auth, first).workspace == "w"


def test_an_old_key_opens_no_less_than_none_after_an_operator_has_opened_the_server() -> None:
    secret, key = made_key()
    auth = auth_of(key.left_behind(NOW))
    assert caller(auth, secret) == caller(auth, None) == OPEN


def test_keys_can_be_required_before_there_is_one() -> None:
    assert refusal(auth_of(require_keys=True), None)[0] == 401


def test_a_key_that_cannot_be_read_closes_it_too() -> None:
    auth = auth_of()
    auth.store.close()
    assert refusal(auth, None)[0] == 401


@given(st.booleans(), st.booleans(), st.integers(0, 10 * STALE_AFTER_MS))
def test_nobody_is_let_in_while_the_keys_are_not_known(known: bool, confirmed: bool, later_ms: int) -> None:
    secret, key = made_key()
    auth = ApiKeyAuthenticator("the test")
    if known:
        auth.store.upsert(key)
    if confirmed:
        auth.mark_fresh(NOW_MS)
    at_ms = NOW_MS + later_ms
    if confirmed and later_ms <= STALE_AFTER_MS:
        assert auth.fault(at_ms) == ""
        headers = {b"x-portkey-api-key": secret} if known else {}
        assert auth.authenticate(headers, WRITE, at_ms).key_id == (key.key_id if known else "")
        return
    assert "the test" in auth.fault(at_ms)
    for headers in ({}, {b"x-portkey-api-key": secret}):
        with pytest.raises(ApiError) as refused:
            auth.authenticate(headers, WRITE, at_ms)
        assert (refused.value.status, refused.value.message) == (503, auth.fault(at_ms))


def test_what_is_remembered_of_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.api_key_authentication._MOST_VERIFIED", 3)
    secret, key = made_key()
    auth = auth_of(key)
    for spaces in range(20):
        assert caller(auth, b"Bearer " + b" " * spaces + secret).key_id == key.key_id
    assert len(auth._verified) <= 3


@pytest.mark.parametrize("workspace", ["", "a b", "ä", "x" * 65, "w/", "w\n"])
def test_a_key_of_an_impossible_workspace_cannot_be_made(workspace: str) -> None:
    with pytest.raises(ValidationError):
        made_key(workspace=workspace)

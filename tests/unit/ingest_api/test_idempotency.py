"""An Idempotency-Key belongs to one body, however that is written, and to no other."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_api.access.idempotency import Claim, IdempotencyKeyCache
from ingest_api.records import Accepted
from ingest_api.validation.feedback import create
from ingest_api.validation.request_log import log
from runtime.http_errors import ApiError
from schemas.events import RequestLogged
from tests.unit.ingest_api.test_feedback import CALL, EVENTS, LIMITS
from tests.unit.ingest_api.test_json_limits import values

KEY = {b"idempotency-key": b"k"}


def claim_of(body: Any, **dump: Any) -> Claim:
    claim = create(json.dumps(body, **dump).encode(), KEY, CALL, LIMITS).claim
    assert claim is not None
    return claim


@given(st.dictionaries(st.text("ab", max_size=3), values, max_size=4), st.randoms(use_true_random=False))
def test_the_same_body_in_another_order_and_spacing_is_the_same_call(
    metadata: dict[str, Any], chance: random.Random
) -> None:
    body = {"trace_id": "t", "value": 1, "metadata": metadata}
    shuffled = dict(chance.sample(list(metadata.items()), len(metadata)))
    same = {"metadata": shuffled, "weight": 1, "value": "1", "traceId": "t"}
    assert claim_of(body) == claim_of(same, indent=2)


@given(st.sampled_from([("trace_id", "u"), ("value", 2), ("weight", 0.5), ("metadata", {"a": 1})]))
def test_another_body_is_another_call(change: tuple[str, Any]) -> None:
    body = {"trace_id": "t", "value": 1, "weight": 1, "metadata": {}}
    assert claim_of(body) != claim_of(body | dict([change]))
    assert claim_of(body) != claim_of([body, body])


def test_every_event_of_the_call_carries_key_and_digest_and_without_a_key_none_does() -> None:
    body = json.dumps([{"trace_id": t, "value": 1, "metadata": {"n": 10**30}} for t in "ab"]).encode()
    accepted = create(body, KEY, CALL, LIMITS)
    events = [EVENTS.validate_json(record.value) for record in accepted.records]
    assert accepted.claim is not None
    assert {(event.idempotency_key, event.idempotency_digest) for event in events} == {("k", accepted.claim.digest)}
    without = create(body, {}, CALL, LIMITS)
    assert without.claim is None
    assert b"idempotency" not in without.records[0].value


LOG = {"request": {"body": {"model": "m"}}, "response": {}, "metadata": {"n": 10**30}}


def logged(body: Any, now_ms: int = CALL.now_ms, **headers: str) -> Accepted:
    sent = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}
    return log(json.dumps(body).encode(), KEY | sent, CALL._replace(now_ms=now_ms), LIMITS)


@pytest.mark.parametrize("body", [LOG, [LOG, LOG | {"trace_id": "t"}]])
def test_a_repeated_log_has_the_same_ids_and_digest_also_where_no_trace_is_named(body: Any) -> None:
    first, later = logged(body), logged(body, CALL.now_ms + 60_000)
    assert (first.ids, first.trace_ids, first.claim) == (later.ids, later.trace_ids, later.claim)
    assert len({*first.ids, *first.trace_ids}) == 2 * len(first.ids)
    assert first.claim is not None
    for record in first.records:
        event = RequestLogged.model_validate_json(record.value)
        assert (event.idempotency_key, event.idempotency_digest) == ("k", first.claim.digest)
    without = log(json.dumps(body).encode(), {}, CALL, LIMITS)
    assert without.claim is None
    assert b"idempotency" not in without.records[0].value


def test_a_log_of_another_body_trace_or_metadata_is_another_call_and_one_of_another_span_is_not() -> None:
    traced = LOG | {"trace_id": "t"}
    span = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    assert logged(traced).claim == logged(traced, **span).claim
    others = [
        logged(LOG), logged([traced, traced]), logged(traced | {"cost": 1}), logged(LOG, **span),
        logged(LOG, x_portkey_trace_id="t"), logged(traced, x_portkey_metadata='{"a": 1}'),
    ]  # fmt: skip
    claims = [each.claim for each in (logged(traced), *others)]
    assert len(set(claims)) == len(claims)
    assert create(b'{"trace_id": "t", "value": 1}', KEY, CALL, LIMITS).claim not in claims


def test_a_known_key_is_refused_with_another_body_and_accepted_with_the_same() -> None:
    cache = IdempotencyKeyCache(10)
    cache.take(Claim("w", "k", "a"))
    cache.take(Claim("w", "k", "a"))
    cache.take(Claim("another", "k", "b"))
    with pytest.raises(ApiError) as refusal:
        cache.take(Claim("w", "k", "b"))
    assert (refusal.value.status, refusal.value.param) == (409, "Idempotency-Key")


def test_the_cache_is_bounded_and_evicts_the_least_recently_used_key() -> None:
    cache = IdempotencyKeyCache(2)
    for key in ("a", "b", "a", "c"):
        cache.take(Claim("w", key, "1"))
    assert len(cache) == 2
    cache.take(Claim("w", "b", "2"))  # evicted, so the key is free
    with pytest.raises(ApiError):
        cache.take(Claim("w", "c", "2"))

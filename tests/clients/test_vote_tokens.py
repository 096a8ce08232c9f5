"""Vote tokens that an app makes in its own process: of the trace and user at hand, and none that cannot be used."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

import feedback_client
from feedback_client import vote_token
from schemas.api_keys import new_key
from schemas.vote_tokens import VoteClaims, claims_of, token_in

SECRET, _ = new_key("acme", ["feedback.token"], datetime.now(UTC))


def claims(text: str) -> VoteClaims:
    token = token_in(text)
    assert token is not None
    return claims_of(token)


def test_a_token_is_of_the_trace_its_tags_and_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEEDBACK_API_KEY", SECRET)
    with feedback_client.use_trace("job-17"):
        feedback_client.tag(user="fef653", plan="pro")
        found = claims(vote_token(expires_in=60))
    assert (found.trace_id, found.voter, found.metadata) == ("job-17", "fef653", {"_user": "fef653", "plan": "pro"})
    assert (found.values, found.weight, found.votes) == ((0, 1), 1.0, "one")
    assert 0 < found.expires_at - time.time() <= 60


def test_the_voter_is_who_is_named_else_the_user_else_nobody_else() -> None:
    def voter(**given: Any) -> str:
        return claims(vote_token("t", api_key=SECRET, **given)).voter

    assert voter(voter="session-1", user="u") == "session-1"
    assert voter(user="u") == "u"
    assert len({voter(), voter(), voter(user="")}) == 3


@pytest.mark.parametrize(
    ("given", "named"),
    [({"api_key": ""}, "FEEDBACK_API_KEY"), ({"api_key": SECRET + "\n"}, "api_key"), ({"trace_id": ""}, "trace_id"),
     ({"values": []}, "values"), ({"values": [11]}, "value"), ({"weight": 2}, "weight"), ({"votes": "two"}, "votes"),
     ({"voter": ""}, "voter"), ({"voter": "a" * 513}, "voter"), ({"expires_in": 0}, "expires_in"),
     ({"expires_in": 91 * 86_400}, "expires_in"), ({"metadata": {"a": float("nan")}}, "metadata"),
     ({"metadata": {"a": "b" * 7000}}, "metadata")],
    ids=lambda each: str(each)[:16],  # processes share no key, and must find the same tests
)  # fmt: skip
def test_what_the_server_would_refuse_is_a_value_error_that_names_it(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        vote_token(**{"trace_id": "t", "api_key": SECRET, **given})

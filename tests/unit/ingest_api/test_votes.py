"""Votes with tokens, over the real app: what a token allows is taken and stored once, and nothing else is."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from feedback_client.vote_tokens import vote_token
from ingest_api.http.publish_endpoint import Message
from schemas.api_keys import ApiKey, new_key
from schemas.vote_tokens import sign
from tests.fuzz.edge import NOW_MS
from tests.unit.whole_api import WholeApi

VOTE, TOKENS = "/v1/feedback/vote", "/v1/feedback/tokens"
NAMED, FOREIGN = "https://app.example.com", "https://evil.example"
NOW, NOW_S = datetime.fromtimestamp(NOW_MS / 1000, UTC), NOW_MS // 1000
Json = dict[str, Any]
Answer = tuple[int, dict[str, str], Json]


class Edge:
    """The app with one key that makes tokens, and another that does not."""

    def __init__(self, api: WholeApi) -> None:
        self.api = api
        self.secret, self.key = new_key("acme", ["feedback.token"], NOW)
        self.writer_secret, self.writer = new_key("acme", ["feedback.write"], NOW)
        for each in (self.key, self.writer):
            api.app.api_keys.upsert(each)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return asyncio.run(self._ask(method, path, b"" if body is None else json.dumps(body).encode(), headers))

    def vote(self, token: str, body: Any = None, method: str = "POST", **headers: str) -> Answer:
        return self.ask(method, VOTE, body, authorization=f"Bearer {token}", **headers)

    def token(self, **asked: Any) -> str:
        status, _, answer = self.ask("POST", TOKENS, {"trace_id": "t", **asked}, **{"x-portkey-api-key": self.secret})
        assert status == 200, answer
        return str(answer["token"])

    def signed(self, key: ApiKey | None = None, **claims: Any) -> str:
        key = key or self.key
        standard = {"trace_id": "t", "expires_at": NOW_S + 60, "values": [0, 1], "voter": "v"}
        return sign(key.key_id, key.hash, json.dumps(standard | claims).encode())

    @property
    def events(self) -> list[Json]:
        return [json.loads(each.value) for each in self.api.recorder.records]

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            sent.append(message)

        raw = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
        scope = {"type": "http", "scheme": "http", "http_version": "1.1", "method": method, "path": path,
                 "raw_path": path.encode(), "query_string": b"", "headers": raw}  # fmt: skip
        await self.api.app(scope, receive, send)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(each.get("body", b"") for each in sent[1:])
        return sent[0]["status"], found, json.loads(text) if text.startswith(b"{") else {}


@pytest.fixture(scope="module")
def shared() -> Iterator[WholeApi]:
    with WholeApi(browser_origins=f"{NAMED}, http://localhost:5173") as api:
        yield api


@pytest.fixture
def edge(shared: WholeApi) -> Edge:
    shared.recorder.records.clear()
    return Edge(shared)


def refused(answer: Answer, status: int, message: str, param: str | None = None) -> None:
    got, _, body = answer
    assert (got, message in body["message"]) == (status, True), body
    if param:
        assert body["error"]["param"] == param


def test_a_vote_becomes_feedback_with_what_the_token_has_fixed(edge: Edge) -> None:
    token = edge.token(values=[0, 1], weight=0.5, metadata={"_user": "u7", "_environment": "production", "plan": "pro"})
    status, _, answer = edge.vote(token, {"value": 1, "comment": "just right"})
    assert (status, answer["message"]) == (200, "Feedback successfully saved")
    (event,) = edge.events
    assert event["feedback_id"] == answer["feedback_ids"][0]
    assert {name: event[name] for name in ("event", "workspace", "trace_id", "value", "weight", "replaces")} == {
        "event": "create", "workspace": "acme", "trace_id": "t", "value": 1, "weight": 0.5, "replaces": True,
    }  # fmt: skip
    specials = {"_user": "u7", "_environment": "production"}
    assert event["metadata"] == {**specials, "plan": "pro", "comment": "just right"}
    assert {name: event[name] for name in specials} == specials
    assert event["home_environment"] == "production"


def test_a_second_vote_has_the_id_of_the_first_also_with_another_token_of_the_voter(edge: Edge) -> None:
    first, again = edge.token(voter="v", expires_in=60), edge.token(metadata={"_user": "v"}, weight=0.1)
    with patch("feedback_client.vote_tokens.time.time", return_value=NOW_S):
        of_the_client = vote_token("t", user="v", api_key=edge.secret)
    votes = [(first, 1), (first, 0), (again, 1), (of_the_client, 0)]
    ids = {edge.vote(token, {"value": value})[2]["feedback_ids"][0] for token, value in votes}
    assert len(ids) == 1
    ids |= {edge.vote(first, method="DELETE")[2]["feedback_ids"][0]}
    assert len(ids) == 1
    assert [each["event"] for each in edge.events] == ["create"] * 4 + ["delete"]


def test_voters_traces_and_workspaces_have_votes_of_their_own(edge: Edge) -> None:
    _, elsewhere = new_key("other", ["feedback.token"], NOW)
    edge.api.app.api_keys.upsert(elsewhere)
    tokens = [
        edge.signed(),
        edge.signed(voter="w"),
        edge.signed(trace_id="u"),
        edge.signed(elsewhere),
        edge.token(),
        edge.token(),
    ]
    ids = [edge.vote(each, {"value": 1})[2]["feedback_ids"][0] for each in tokens]
    assert len(set(ids)) == len(ids)
    assert [each["workspace"] for each in edge.events] == ["acme"] * 3 + ["other"] + ["acme"] * 2


def test_many_votes_each_have_a_name(edge: Edge) -> None:
    many = edge.token(votes="many")
    ids = [edge.vote(many, {"value": 1}, **{"x-feedback-vote": name})[2]["feedback_ids"][0] for name in ("a", "b", "a")]
    assert ids[0] == ids[2] != ids[1]
    assert edge.vote(many, None, "DELETE", **{"x-feedback-vote": "b"})[2]["feedback_ids"] == [ids[1]]
    refused(edge.vote(many, {"value": 1}), 400, "x-feedback-vote is required", "x-feedback-vote")
    refused(edge.vote(many, {"value": 1}, **{"x-feedback-vote": "a" * 129}), 400, "at most 128", "x-feedback-vote")
    refused(
        edge.vote(edge.token(), {"value": 1}, **{"x-feedback-vote": "a"}), 403, "allows one vote", "x-feedback-vote"
    )


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"value": 2}, "value"),
        ({"value": -1}, "value"),
        ({"value": 1, "weight": 1}, "weight"),
        ({"value": 1, "trace_id": "u"}, "trace_id"),
        ({"value": 1, "traceId": "u"}, "trace_id"),
        ({"value": 1, "metadata": {"_user": "somebody else"}}, "metadata"),
        ({"value": 1, "metadata": '{"a": 1}'}, "metadata"),
    ],
    ids=str,
)
def test_what_goes_beyond_the_token_is_refused(edge: Edge, sent: Json, param: str) -> None:
    refused(edge.vote(edge.token(weight=0.5), sent), 403, "token", param)
    assert edge.events == []


@pytest.mark.parametrize(
    ("sent", "param"),
    [({}, "value"), ([], None), ({"value": 11}, "value"), ({"value": 1, "comment": 5}, "comment"),
     ({"value": 1, "comment": "a" * 4001}, "comment"), ({"value": 1, "comment": "\0"}, "comment")],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_what_is_no_vote_is_refused_by_its_field(edge: Edge, sent: Any, param: str | None) -> None:
    status, _, answer = edge.vote(edge.token(), sent)
    assert (status, answer["error"]["param"]) == (400, param)
    assert edge.events == []


def test_what_the_token_says_may_be_sent_along(edge: Edge) -> None:
    body = {"value": 1, "weight": 0.5, "trace_id": "t", "metadata": None, "comment": ""}
    assert edge.vote(edge.token(weight=0.5), body)[0] == 200
    assert edge.events[0]["metadata"] == {}


def test_forged_expired_and_foreign_tokens_are_refused_with_the_reason(edge: Edge) -> None:
    _, unknown = new_key("acme", ["feedback.token"], NOW)
    good = edge.signed()
    assert edge.vote(good, {"value": 1})[0] == 200
    edge.api.recorder.records.clear()
    tail = "A" if good[-1] != "A" else "B"
    for forged in (good[:-1] + tail, edge.signed(unknown), good.replace(edge.key.key_id, edge.writer.key_id)):
        refused(edge.vote(forged, {"value": 1}), 401, "forged or damaged", "authorization")
    refused(edge.vote(edge.signed(expires_at=NOW_S), {"value": 1}), 401, "the token has expired")
    refused(edge.vote(edge.signed(edge.writer), {"value": 1}), 403, "lacks the scope feedback.token")
    refused(edge.vote(edge.signed(expires_at=NOW_S + 91 * 86_400), {"value": 1}), 403, "more than 90 days")
    refused(edge.vote(edge.signed(values=[99]), {"value": 1}), 403, "claims are not valid")
    refused(edge.vote(edge.signed(only_on_sundays=True), {"value": 1}), 403, "claims are not valid")
    refused(edge.vote(edge.signed(metadata={"a": "\0"}), {"value": 1}), 400, "NUL", "metadata.a")
    refused(edge.vote("nonsense", {"value": 1}), 401, "begin with fbt_")
    refused(edge.vote(edge.secret, {"value": 1}), 401, "no API key")
    refused(edge.ask("POST", VOTE, {"value": 1}), 401, "a vote token is needed")
    for path, body in (("/v1/feedback", {"trace_id": "t", "value": 1}), (TOKENS, {"trace_id": "t"})):
        refused(edge.ask("POST", path, body, authorization=f"Bearer {good}"), 401, "a vote token")
    assert edge.events == []


def test_two_different_tokens_in_one_call_are_refused(edge: Edge) -> None:
    one, other = edge.signed(voter="v"), edge.signed(voter="w")
    status, _, answer = edge.vote(one, {"value": 1}, **{"x-portkey-api-key": other})
    assert (status, "hold different vote tokens" in answer["message"]) == (400, True), answer
    assert edge.events == []
    assert edge.vote(one, {"value": 1}, **{"x-portkey-api-key": one})[0] == 200


def test_a_token_ends_with_the_key_that_made_it(edge: Edge) -> None:
    _, short = new_key("acme", ["feedback.token"], NOW - timedelta(days=2), expires_at=NOW)
    edge.api.app.api_keys.upsert(short)
    refused(edge.vote(edge.signed(short), {"value": 1}), 401, "expired at")
    token = edge.token()
    assert edge.vote(token, {"value": 1})[0] == 200
    edge.api.app.api_keys.upsert(edge.key.revoked(NOW))
    refused(edge.vote(token, {"value": 1}), 401, "was revoked at")
    refused(edge.vote(token, method="DELETE"), 401, "was revoked at")


def test_votes_count_to_the_rate_limit_of_the_key(edge: Edge) -> None:
    _, limited = new_key("acme", ["feedback.token"], NOW, rate_limit_per_s=2)
    edge.api.app.api_keys.upsert(limited)
    answers = [edge.vote(edge.signed(limited, voter=str(n)), {"value": 1}) for n in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[2][1]["retry-after"] == "1"


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"trace_id": ""}, "trace_id"), ({"values": []}, "values"), ({"values": [11]}, "values"),
     ({"weight": 2}, "weight"), ({"votes": "several"}, "votes"), ({"voter": ""}, "voter"),
     ({"expires_in": 0}, "expires_in"), ({"expires_in": 91 * 86_400}, "expires_in"),
     ({"metadata": {"_user": []}}, "metadata._user"), ({"metadata": {"a": "b" * 7000}}, "metadata")],
    ids=lambda each: str(each)[:40],
)  # fmt: skip
def test_a_token_that_could_not_be_used_is_not_made(edge: Edge, asked: Json, param: str) -> None:
    headers = {"x-portkey-api-key": edge.secret}
    status, _, answer = edge.ask("POST", TOKENS, {"trace_id": "t", **asked}, **headers)
    assert (status, answer["error"]["param"]) == (400, param)


def test_making_a_token_needs_the_scope_and_stores_nothing(edge: Edge) -> None:
    headers = {"x-portkey-api-key": edge.writer_secret}
    refused(edge.ask("POST", TOKENS, {"trace_id": "t"}, **headers), 403, "lacks the scope feedback.token")
    edge.token()
    assert edge.events == []


def test_a_page_of_a_named_origin_may_ask_and_read(edge: Edge) -> None:
    for origin in (NAMED, "http://localhost:5173"):
        preflight = {"origin": origin, "access-control-request-method": "POST"}
        status, headers, _ = edge.ask("OPTIONS", VOTE, **preflight)
        assert (status, headers["access-control-allow-origin"], headers["vary"]) == (204, origin, "origin")
        assert headers["access-control-allow-methods"] == "POST, PUT, DELETE"
        assert {"authorization", "content-type", "x-feedback-vote"} <= set(
            headers["access-control-allow-headers"].split(", ")
        )
        assert "access-control-allow-credentials" not in headers
        for status, headers, _ in (
            edge.vote(edge.token(), {"value": 1}, origin=origin),
            edge.vote("forged", {"value": 1}, origin=origin),
        ):
            assert (status in (200, 401), headers["access-control-allow-origin"]) == (True, origin)


@pytest.mark.parametrize("origin", [FOREIGN, "null", f"{NAMED}:8443", NAMED.replace("https", "http"), f"{NAMED}.evil"])
def test_a_page_of_any_other_origin_is_refused_and_stores_nothing(edge: Edge, origin: str) -> None:
    token = edge.token()
    edge.api.recorder.records.clear()
    for answer in (
        edge.ask("OPTIONS", VOTE, origin=origin, **{"access-control-request-method": "POST"}),
        edge.vote(token, {"value": 1}, origin=origin),
    ):
        refused(answer, 403, "FEEDBACK_BROWSER_ORIGINS", "Origin")
        assert "access-control-allow-origin" not in answer[1]
    assert edge.events == []


def test_our_own_pages_may_vote_without_being_named(edge: Edge) -> None:
    own = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    status, headers, _ = edge.vote(edge.token(), {"value": 1}, **own)
    assert (status, "access-control-allow-origin" in headers) == (200, False)


@pytest.mark.parametrize("headers", [{}, {"origin": NAMED}])
def test_options_that_ask_for_no_method_are_no_preflight(edge: Edge, headers: dict[str, str]) -> None:
    answer = edge.ask("OPTIONS", VOTE, **headers)
    refused(answer, 405, "OPTIONS is not possible at /v1/feedback/vote")
    assert answer[1]["allow"] == "POST, PUT, DELETE"


def test_no_other_route_is_open_to_pages_of_a_named_origin(edge: Edge) -> None:
    for method, path in (("POST", "/v1/feedback"), ("GET", "/v1/feedback"), ("POST", TOKENS), ("POST", "/v1/logs"),
                         ("GET", "/healthz"), ("GET", "/v1/admin/keys"), ("GET", "/docs")):  # fmt: skip
        for asked in (method, "OPTIONS"):
            headers = edge.ask(asked, path, origin=NAMED, **{"access-control-request-method": method})[1]
            assert [each for each in headers if each.startswith("access-control")] == [], path


def test_while_there_is_no_key_there_are_no_tokens_and_no_foreign_pages() -> None:
    api = WholeApi(browser_origins=NAMED)
    edge = Edge.__new__(Edge)
    edge.api = api
    with api:
        refused(edge.ask("POST", TOKENS, {"trace_id": "t"}), 403, "make a key")
        refused(edge.ask("OPTIONS", VOTE, origin=NAMED), 403, "another origin")

"""Which votes are taken, by what `docs/browser.md` says, written down once more without any code of the server."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.api_keys import new_key
from tests.tries import tries
from tests.unit.ingest_api.test_votes import NOW, NOW_S, Edge, Json
from tests.unit.whole_api import WholeApi

HEX = "ABCDEF0123456789abcdef0123456789"
SPECIALS = ("_user", "_organisation", "_prompt", "_environment")
MISSING = object()
MOST_TRACE_ID_CHARS = 4096
DAYS_90 = 90 * 86_400


@dataclass
class Key:
    """An API key as whoever makes tokens has it, and what the server answers to its tokens: 200 where it takes them."""

    text: str
    workspace: str
    answer: int

    @property
    def key_id(self) -> str:
        return self.text[4:16]


@dataclass
class Vote:
    """One call of a page: the token in its parts, and what is sent with it."""

    key: Key
    claims: Json
    body: Json
    faults: list[int] = field(default_factory=list)
    """The statuses of what is wrong with the token's form and signature."""
    token: str = ""


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def signature(key_text: str, signed: str, purpose: bytes = b"feedback vote token v1") -> str:
    signing_key = hmac.new(hashlib.sha256(key_text.encode()).digest(), purpose, "sha256").digest()
    return base64url(hmac.new(signing_key, signed.encode(), "sha256").digest())


def same_trace(one: Any, other: Any) -> bool:
    """Trace ids of OpenTelemetry are the same in either case."""
    return bool(one == other or (one.lower() == other.lower() == HEX.lower()))


def claims_are_valid(claims: Json) -> bool:
    def whole(number: Any, least: int, most: int) -> bool:
        return type(number) is int and least <= number <= most

    def text(given: Any, most: int) -> bool:
        return isinstance(given, str) and 1 <= len(given) <= most

    known = {"trace_id", "expires_at", "values", "weight", "votes", "voter", "metadata"}
    values, weight = claims.get("values"), claims.get("weight", 1.0)
    return (
        set(claims) <= known
        and text(claims.get("trace_id"), MOST_TRACE_ID_CHARS)
        and whole(claims.get("expires_at"), 0, 2**53 - 1)
        and isinstance(values, list)
        and 1 <= len(values) <= 21
        and all(whole(each, -10, 10) for each in values)
        and type(weight) in (int, float)
        and 0 <= weight <= 1
        and claims.get("votes", "one") in ("one", "many")
        and text(claims.get("voter"), 512)
        and isinstance(claims.get("metadata", {}), dict)
    )


def refusals(vote: Vote) -> set[int]:
    """The statuses of all that is wrong with a vote; nothing where it is to be taken."""
    wrong = {*vote.faults, *([vote.key.answer] if vote.key.answer != 200 else [])}
    claims, body = vote.claims, vote.body
    if not claims_are_valid(claims):
        return wrong | {403}
    if claims["expires_at"] <= NOW_S:
        wrong.add(401)
    if claims["expires_at"] > NOW_S + DAYS_90:
        wrong.add(403)
    if claims.get("votes", "one") == "many":
        wrong.add(400)  # It has no name.
    if body["value"] not in claims["values"]:
        wrong.add(403)
    if "weight" in body and round(body["weight"], 9) != round(claims.get("weight", 1.0), 9):
        wrong.add(403)
    if body.get("metadata"):
        wrong.add(403)
    if "trace_id" in body and not same_trace(body["trace_id"], claims["trace_id"]):
        wrong.add(403)
    if len(claims["trace_id"]) > 512:
        wrong.add(400)  # The setting of this server is lower than what the contract has room for.
    if any(not isinstance(claims.get("metadata", {}).get(name, ""), str | None) for name in SPECIALS):
        wrong.add(400)
    return wrong


def stored(vote: Vote) -> Json:
    """What the event of a vote that is taken must hold."""
    claims = vote.claims
    trace_id = claims["trace_id"].lower() if claims["trace_id"] == HEX else claims["trace_id"]
    comment = {"comment": vote.body["comment"]} if vote.body.get("comment") else {}
    return {
        "event": "create",
        "replaces": True,
        "workspace": vote.key.workspace,
        "trace_id": trace_id,
        "value": vote.body["value"],
        "weight": round(claims.get("weight", 1.0), 9),
        "metadata": claims.get("metadata", {}) | comment,
    }


SEVERAL: dict[str, list[Any]] = {
    "trace_id": ["t", HEX, HEX.lower(), "ü" * 512, "x" * 513, "y" * 4097, "", 7, None],
    "expires_at": [NOW_S - 1, NOW_S, NOW_S + 1, NOW_S + DAYS_90, NOW_S + DAYS_90 + 1, 2**53, -1, 2**70, "9999999999",
                   float(NOW_S + 60), True, None],
    "values": [[1], [0, 1, 1], [*range(-10, 11)], [1] * 22, [], [11], [1.0], ["1"], [True], "1", {"1": 1}, None],
    "weight": [0, 1, 0.25, 0.123456789, 0.1234567891, -0.1, 1.5, "1", True, None],
    "votes": ["one", "many", "two", "", 1, None],
    "voter": ["v", "é" * 512, "w" * 513, "", 7, None],
    "metadata": [{}, {"plan": "pro"}, {"_user": "u7"}, {"_user": ["u7"]}, {"_user": None}, [], "{}", None],
    "only_on_sundays": [True],
}  # fmt: skip
NOBODY = Key("fbk_000000000000_" + "0" * 64, "acme", 401)
GOOD: Json = {"trace_id": "t", "expires_at": NOW_S + 60, "values": [0, 1], "voter": "v"}


FORMS: dict[str, Callable[[str], str]] = {
    "padded claims": lambda signed: signed + "=",
    "key id in capitals": lambda signed: signed.replace(signed[4:16], "ABCDEF012345"),
    "another version": lambda signed: signed.replace("fbt_", "fbt2_", 1),
    "another prefix": lambda signed: signed.replace("fbt_", "fbk_", 1),
    "an algorithm before it": lambda signed: base64url(b'{"alg":"none"}') + "." + signed,
    "a part between": lambda signed: signed + ".e30",
    "a blank within": lambda signed: signed[:-2] + " " + signed[-2:],
    "a line within": lambda signed: signed[:-2] + "\n" + signed[-2:],
    "no claims": lambda signed: signed.split(".")[0] + ".",
    "too long": lambda signed: signed + "A" * 8192,
}
"""Changes of what is signed, after which it has not the form of a token, whatever its signature."""


def forged_signatures(key: Key, others: Key, signed: str) -> dict[str, str]:
    """Signatures of what is signed that are none."""
    good, hashed = signature(key.text, signed), hashlib.sha256(key.text.encode()).digest()
    return {
        "cut": good[:-1],
        "longer": good + "A",
        "padded": good + "=",
        "other bits at its end": good[:-1] + chr(ord(good[-1]) + 1),
        "another letter": ("A" if good[0] != "A" else "B") + good[1:],
        "none": "",
        "in hex": hmac.new(hashed, signed.encode(), "sha256").hexdigest(),
        "not derived": base64url(hmac.new(hashed, signed.encode(), "sha256").digest()),
        "by the text of the key": base64url(hmac.new(key.text.encode(), signed.encode(), "sha256").digest()),
        "another purpose": signature(key.text, signed, b"feedback vote token v2"),
        "of another key": signature(others.text, signed),
        "of the claims alone": signature(key.text, signed.split(".")[1]),
        "of other claims": signature(key.text, f"fbt_{key.key_id}.{base64url(json.dumps(GOOD).encode())}!"),
    }


TURNS: list[tuple[str, str, Any]] = [
    *(("claim", name, given) for name, several in SEVERAL.items() for given in several),
    *(("without", name, None) for name in GOOD),
    *(("form", name, None) for name in FORMS),
    *(("signature", name, None) for name in forged_signatures(NOBODY, NOBODY, ".")),
    *(("key", name, None) for name in ("other", "admin", "writer", "reader", "expired", "later", "revoked", "unknown")),
    *(("body", "value", given) for given in (0, -1, 10)),
    *(("body", "trace_id", given) for given in ("t", "T", HEX, HEX.lower())),
    *(("body", "weight", given) for given in (1, 0.25, 0.5, 0.123456789, 0.1234567892)),
    ("body", "metadata", {"plan": "free"}),
    ("body", "metadata", None),
    ("body", "comment", "just right"),
]
"""What a vote may have that the plainest has not."""


@st.composite
def votes(draw: st.DrawFn, keys: dict[str, Key]) -> Vote:
    vote = Vote(keys["good"], dict(GOOD), {"value": 1})
    turns = draw(st.lists(st.sampled_from(TURNS), min_size=1, max_size=2))
    for kind, name, value in turns:
        if kind == "claim":
            vote.claims[name] = value
        elif kind == "without":
            vote.claims.pop(name, None)
        elif kind == "key":
            vote.key = keys[name]
        elif kind == "body":
            vote.body[name] = value
    signed = f"fbt_{vote.key.key_id}.{base64url(json.dumps(vote.claims, ensure_ascii=draw(st.booleans())).encode())}"
    for kind, name, _ in turns:
        if kind == "form":
            signed, vote.faults = FORMS[name](signed), [401]
    sign = signature(vote.key.text, signed)
    for kind, name, _ in turns:
        if kind == "signature":
            others = keys["other" if vote.key is not keys["other"] else "good"]
            sign, vote.faults = forged_signatures(vote.key, others, signed)[name], [401]
    vote.token = f"{signed}.{sign}"
    if len(vote.token) > 8192:
        vote.faults = [401]
    return vote


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with WholeApi() as api:
        yield Edge(api)


@pytest.fixture(scope="module")
def keys(edge: Edge) -> dict[str, Key]:
    """A key of each kind, those that are known to the server and one that is not."""

    def key(answer: int, scope: Any = "feedback.token", workspace: str = "acme", **record: Any) -> Key:
        text, made = new_key(workspace, [scope], NOW - timedelta(days=2), **record)
        edge.api.app.api_keys.upsert(made)
        return Key(text, workspace, answer)

    revoked_text, revoked = new_key("acme", ["feedback.token"], NOW)
    edge.api.app.api_keys.upsert(revoked.revoked(NOW))
    return {
        "good": key(200),
        "other": key(200, workspace="other"),
        "admin": key(200, "admin"),
        "writer": key(403, "feedback.write"),
        "reader": key(403, "feedback.read"),
        "expired": key(401, expires_at=NOW),
        "later": key(200, expires_at=NOW + timedelta(seconds=1)),
        "revoked": Key(revoked_text, "acme", 401),
        "unknown": Key(new_key("acme", ["feedback.token"], NOW)[0], "acme", 401),
    }


@settings(max_examples=tries(300))
@given(data=st.data())
def test_a_vote_is_taken_exactly_where_the_document_says_so(
    edge: Edge, keys: dict[str, Key], data: st.DataObject
) -> None:
    vote = data.draw(votes(keys))
    edge.api.recorder.records.clear()
    wrong = refusals(vote)
    status, _, answer = edge.vote(vote.token, vote.body)
    if wrong:
        assert (status in wrong, edge.events) == (True, []), (status, wrong, answer)
        return
    assert status == 200, answer
    (event,) = edge.events
    assert {name: event[name] for name in stored(vote)} == stored(vote)
    # What the page cannot choose: who votes, on which trace, in which workspace.
    ids = {edge.vote(vote.token, {"value": each})[2]["feedback_ids"][0] for each in vote.claims["values"][:2]}
    assert ids == {event["feedback_id"]}

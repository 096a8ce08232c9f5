"""Nothing of a header or a URL gets into an event but names, and values that are known to be harmless."""

import json
import random
import string
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.validation.redaction import MAX_HEADERS, MAX_VALUES, headers_without_secrets
from runtime.harmless_names import HEADER_FAMILIES, HEADER_KINDS, HEADERS, HarmlessNames
from runtime.url_redaction import MAX_CHARS, REDACTED, url_without_secrets
from tests.unit.ingest_api.test_request_log import posted

SECRET = "s3cret-Value"
KNOWN = HarmlessNames()
# Of every kind that a list of bad names has missed somewhere.
SECRET_HEADERS = (
    *(
        "authorization",
        "Cookie",
        "x-portkey-config",
        "x-portkey-api-key",
        "x-portkey-metadata",
        "accesskey",
        "X-Api-Key",
    ),
    *("x-session", "x-forwarded-for", "helicone-auth", "cf-access-client-id", "passphrase", "dsn", "x", "key", "value"),
    *(
        "name",
        "location",
        "referer",
        "baggage",
        "x-monkey",
        "contenttype",
        "content-location",
        "content-security-policy",
    ),
    *("openai-organization", ":path", "x-version-key", "request-id-token", "config", "headers"),
)
VALUES = [
    SECRET,
    [SECRET],
    [[SECRET]],
    {"a": SECRET},
    {"content-type": SECRET},
    [["content-type", SECRET]],
    {SECRET: 1},
]


def stored(side: str = "request", **part: Any) -> str:
    (record,) = posted({"request": {}, "response": {}} | {side: part}).records
    return record.value.decode()


SHAPES: list[Callable[[str, Any], Any]] = [
    lambda name, value: {name: value, "content-type": "text/x-here"},
    lambda name, value: [[name, value], ["content-type", "text/x-here"]],
    lambda name, value: [{"name": name, "value": value}, {"name": "content-type", "value": "text/x-here"}],
    lambda name, value: [{"Key": name, "Value": value, "disabled": False}, {"content-type": "text/x-here"}],
    lambda name, value: [{name: value}, ["content-type", "text/x-here"]],
    lambda name, value: json.dumps({name: value, "content-type": "text/x-here"}),
    lambda name, value: json.dumps([[name, value], ["content-type", "text/x-here"]]),
]


@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize("shape", range(len(SHAPES)))
@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_of_a_header_that_is_not_known_only_the_name_is_stored(name: str, shape: int, side: str) -> None:
    for value in VALUES:
        event = stored(side, headers=SHAPES[shape](name, value))
        assert SECRET not in event
        assert f'"{name}":"{REDACTED}"' in event
        assert '"content-type":"text/x-here"' in event


LEAVES = st.sampled_from([SECRET, f"x: {SECRET}", f"x\n{SECRET}", f"content-type:{SECRET}", f"date:\r\nx:{SECRET}"])
NAMES = st.sampled_from(
    [*SECRET_HEADERS, "content-type", "user-agent", "type", "", "a b", "é", f"x: {SECRET}", SECRET * 9]
)
ANY_SHAPE = st.recursive(
    LEAVES | st.none() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES, inner, max_size=3)
        | st.lists(st.tuples(NAMES, inner).map(list), max_size=3)
        | inner.map(json.dumps)
    ),
    max_leaves=8,
)


@example({"user-agent": {"x-key": SECRET}, "via": [{"x-key": SECRET}], "te": f"a\nx-key: {SECRET}"})
@given(ANY_SHAPE.filter(lambda shape: isinstance(shape, str | dict | list)))
def test_no_shape_of_headers_brings_a_value_in_under_a_name_that_is_not_known(headers: Any) -> None:
    found = headers_without_secrets(headers, KNOWN)
    assert found is not None
    for name, value in found.items():
        if KNOWN.has_header(name):
            for each in value if isinstance(value, list) else [value]:
                assert not isinstance(each, list | dict), "a header within a header"
                assert "\n" not in str(each)
        else:
            assert value == REDACTED
            assert name == REDACTED or (len(name) <= 65 and ":" not in name[1:] and not set(name) & set(" \n\r"))


def test_lines_of_headers_are_read_and_what_is_none_is_redacted_whole() -> None:
    lines = f"Content-Type: text/x-here\r\nX-Key: {SECRET}\r\n\r\n"
    expected = {"Content-Type": "text/x-here", "X-Key": REDACTED}
    assert headers_without_secrets(lines, KNOWN) == expected
    assert headers_without_secrets(lines.split("\r\n")[:2], KNOWN) == expected
    for unknown in (
        f"Date: x\r\n {SECRET}",
        SECRET,
        ["x-key", SECRET],
        ["date", SECRET],
        "{" + SECRET,
        [["date", 1, SECRET]],
    ):
        assert headers_without_secrets(unknown, KNOWN) == {REDACTED: REDACTED}
    assert headers_without_secrets("", KNOWN) == headers_without_secrets([], KNOWN) == {}
    assert headers_without_secrets(None, KNOWN) is None


def test_values_of_a_name_that_stands_several_times_stay_together() -> None:
    pairs = [["via", "a"], ["cookie", "a"], ["via", ["b", "c"]], ["cookie", "b"], ["Via", "d"]]
    expected = {"via": ["a", "b", "c"], "cookie": REDACTED, "Via": "d"}
    assert headers_without_secrets(pairs, KNOWN) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("content-type", "accept", "user-agent", "date", "server", "traceparent", "tracestate", "x-request-id"),
        *(
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-input-tokens-reset",
            "ratelimit-policy",
            "retry-after",
        ),
        *("openai-version", "anthropic-version", "openai-processing-ms", "cf-ray", "x-portkey-trace-id"),
        *("x-portkey-parent-span-id", "x-amzn-trace-id", "x-correlation-id", "apim-request-id"),
    ],
)
def test_a_header_that_is_known_to_be_harmless_stays_in_any_spelling(name: str) -> None:
    headers = {name: "v", name.title(): ["v", 1, None], name.upper().replace("-", "_"): 7}
    assert headers_without_secrets(headers, KNOWN) == headers


def test_no_name_that_is_known_speaks_of_a_secret() -> None:
    words = ("auth", "cookie", "token", "secret", "passw", "credential", "signature", "session", "-key", "config")
    known = {*HEADERS, *HEADER_FAMILIES, *HEADER_KINDS}
    assert {name for name in known if any(word in name for word in words)} == {
        "x-amzn-bedrock-input-token-count",
        "x-amzn-bedrock-output-token-count",
    }


@pytest.mark.parametrize(
    "word", ["api-key", "apikey", "token", "secret", "Password", "auth", "session", "bypass", "jwt"]
)
def test_a_name_of_a_harmless_family_that_speaks_of_a_secret_is_redacted(word: str) -> None:
    names = [f"{family}{word}" for family in HEADER_FAMILIES] + [
        f"x-{word}-{kind.lstrip('-')}" for kind in HEADER_KINDS
    ]
    assert headers_without_secrets(dict.fromkeys(names, "v"), KNOWN) == dict.fromkeys(names, REDACTED)
    kept = {
        "x-ratelimit-remaining-tokens": "5",
        "anthropic-ratelimit-input-tokens-reset": "1s",
        "x-team-request-id": "r",
    }
    assert headers_without_secrets(kept, KNOWN) == kept
    assert HarmlessNames(frozenset({f"ratelimit-{word.lower()}"})).has_header(f"RateLimit_{word}")


def test_an_operator_may_add_names() -> None:
    more = HarmlessNames(frozenset({"x-team"}), frozenset({"tier"}))
    assert headers_without_secrets({"X_Team": "a", "x-teams": "b"}, more) == {"X_Team": "a", "x-teams": REDACTED}
    assert url_without_secrets("/p?Tier=1&tiers=2", more) == f"/p?Tier=1&tiers={REDACTED}"


def test_more_headers_than_any_request_has_are_redacted_whole() -> None:
    headers = {f"x{n}": "v" for n in range(MAX_HEADERS)}
    pairs = list(map(list, headers.items()))
    lines = "\n".join(": ".join(pair) for pair in pairs)
    for whole in (headers, pairs, [headers], lines, lines.split("\n"), json.dumps(pairs)):
        assert headers_without_secrets(whole, KNOWN) == dict.fromkeys(headers, REDACTED)
    more = f"{lines}\none-more: v"
    for beyond in (headers | {"one-more": "v"}, [*pairs, ["one-more", "v"]], [headers, {"one-more": "v"}], more):
        assert headers_without_secrets(beyond, KNOWN) == {REDACTED: REDACTED}
    assert headers_without_secrets({"via": ["a"] * (MAX_VALUES + 1)}, KNOWN) == {"via": REDACTED}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://host/v1?key=§&model=gpt-4o&api_version=2024-02-01", "https://host/v1?key=*&model=gpt-4o&api_version=2024-02-01"),
        ("https://host/v1?§", "https://host/v1?*"),
        ("https://host/v1?a=&&b&stream", "https://host/v1?a=&&*&stream"),
        ("https://host/v1?a[b]=§&a%5Bb%5D=§&" + "n" * 65 + "=§", "https://host/v1?a[b]=*&a%5Bb%5D=*&*"),
        ("https://host/v1?a?key=§", "https://host/v1?*"),
        ("https://host/v1?model=m;key=§", "https://host/v1?model=*"),
        ("https://host/v1?model=m%26key=§", "https://host/v1?model=*"),
        ("https://host/v1?model=m%2526key%253D§", "https://host/v1?model=*"),
        ("https://host/v1?model=meta%2Fllama-3", "https://host/v1?model=meta%2Fllama-3"),
        ("https://host/v1?page=https://me:§@host", "https://host/v1?page=*"),
        ("https://host/v1#access_token=§", "https://host/v1#*"),
        ("https://host/v1#", "https://host/v1#"),
        ("https://me:§@host/a@b", "https://*@host/a@b"),
        ("https://§@host:8443/a", "https://*@host:8443/a"),
        ("//me:§@[::1]:80", "//*@[::1]:80"),
        ("https://a@b:§@host", "https://*@host"),
        ("https://host/a;jsessionid=§/b;v;c=1;?x=§", "https://host/a;jsessionid=*/b;*;c=*;?x=*"),
        ("https://host/token=§/key=§,x=§", "https://host/token=*/key=*"),
        ("https://host/a%3Bjsessionid=§/b%3Fkey%3D§/c%253B§", "https://host/*/*/*"),
        ("https://proxy/https://me:§@host/a", "https://proxy/https://*/a"),
        ("https://proxy/https:/me:§@host/a", "https://proxy/https:/*/a"),
        ("https://proxy/https%3A%2F%2Fme%3A§%40host/a", "https://proxy/*/a"),
        # Bots and webhooks have their token in the path.
        ("https://host/bot12:AAHd§qTcvCH1vGWJxfS9eofS/send", "https://host/*/send"),
        ("https://host/services/T0/B0/Xy7a§Zk29mQp31LtRvUw8Kd", "https://host/services/T0/B0/*"),
        ("https://host/a%41a4§a4a4a4%61a4a4a4a4/aa4§a4a4a4aa4a4a4a4;v=§", "https://host/*/*;v=*"),
        ("https://host/bot12:AAHd§-TcvCH1vGWJxfS_eofSAs0K5PALDs-w/send", "https://host/*/send"),
        ("https://host/api/webhooks/1234/Xy7aQ-k29mQp31§_RtvUw", "https://host/api/webhooks/1234/*"),
        ("https://host/h/XyZaQkMmQp§LRtvUw", "https://host/h/*"),
        # What cannot be a URL, or not surely.
        *((each, "*") for each in ("https://me:§/a", "https://§%40host/", "me:§@host/a", "me@host", "https:me:§@host")),
        *((each, "*") for each in ("ht\ntps://me:§@host", " https://§@host", "https:\\\\me:§@host", "https://me:§\uff20host")),
        *((each, "*") for each in ("data:text/plain,§", "not a url: §", "https://ho st/§", "https://[::1/§", "1x://me:§@host")),
        # What stays as it was written.
        *((each, each) for each in ("", "/", "/relative/path:raw?page=2", "u", "HTTPS://host/a//b/@c")),
        ("https://h/models/claude-3@20240620:rawPredict", "https://h/models/claude-3@20240620:rawPredict"),
        *((each, each) for each in ("/v1beta/streamGenerateContents", "/Llama-3.1-405B-Instruct")),
        *((each, each) for each in ("/Qwen3-235B-A22B-Instruct-2507-FP8", "/v1beta/m:asyncBatchEmbedContent")),
        ("/runs/12345678901234567890", "/runs/12345678901234567890"),
        ("/runs/0197cafe-0000-8000-8000-9b11edf9ab0c", "/runs/0197cafe-0000-8000-8000-9b11edf9ab0c"),
        ("/run_0197CAFE-00ab-8cd0-8000-9b11edf90000", "/run_0197CAFE-00ab-8cd0-8000-9b11edf90000"),
        ("https://provider.example/\u00e9/org%2Fmodel", "https://provider.example/\u00e9/org%2Fmodel"),
    ],
)  # fmt: skip
def test_a_url_keeps_names_and_loses_what_may_be_secret(url: str, expected: str) -> None:
    given, told = url.replace("§", SECRET), expected.replace("*", REDACTED)
    assert url_without_secrets(given, KNOWN) == told
    assert SECRET not in stored(url=given)


PIECES = st.lists(st.sampled_from([*"/?#&;=@:%[\t,a", "https:", "//", "host", "%40", "%3b", "%2F"]), max_size=6).map(
    "".join
)


@given(PIECES, st.sampled_from("?#;&"), PIECES)
def test_a_value_without_a_known_name_is_in_no_url(before: str, mark: str, after: str) -> None:
    for url in (
        f"https://host/{before}{mark}x={SECRET}{after}",
        f"{before}{mark}x={SECRET}{after}",
        f"https://user:{SECRET}@host/{before}",
    ):
        assert SECRET not in str(url_without_secrets(url, KNOWN))


BASE64 = string.ascii_letters + string.digits + "_-"
TOKENS = {"bot123:AA": 33, "": 43, "wh_": 64}


@pytest.mark.parametrize("before", TOKENS)
def test_random_tokens_of_base64_are_in_no_url(before: str) -> None:
    drawn = random.Random(7)
    tokens = ("".join(drawn.choices(BASE64, k=TOKENS[before])) for _ in range(2_000))
    kept = sum(token in str(url_without_secrets(f"https://host/a/{before}{token}/b", KNOWN)) for token in tokens)
    assert kept < 20


def test_a_url_that_is_too_long_to_be_one_is_redacted_whole() -> None:
    url = "/" + "a" * (MAX_CHARS - 1)
    assert url_without_secrets(url, KNOWN) == url
    assert url_without_secrets(url + "a", KNOWN) == REDACTED


HOSTILE: list[Callable[[int], Any]] = [
    *(
        lambda n, piece=piece: ("url", piece * n)
        for piece in ("a", "https://", "//@", ";a=", "?a=&", "%3B", "/a:", "#", "a@")
    ),
    *(
        lambda n, piece=piece: ("headers", piece * n)
        for piece in ("a", "a:", "a:b\n", "[", '{"a":', " ", "\r\n", '"\\')
    ),
    lambda n: ("headers", [["a", "b"]] * n),
    lambda n: ("headers", [{"name": "via", "value": "b"}] * min(n, MAX_HEADERS)),
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_work_grows_no_faster_than_what_is_given(hostile: Callable[[int], Any]) -> None:
    def lines(times: int) -> int:
        count = 0

        def trace(*_: Any) -> Any:
            nonlocal count
            count += 1
            return trace

        field, value = hostile(times)
        sys.settrace(trace)
        try:
            headers_without_secrets(value, KNOWN) if field == "headers" else url_without_secrets(value, KNOWN)
        finally:
            sys.settrace(None)
        return count

    assert lines(800) <= 2.2 * lines(400) + 100

"""Nothing that authenticates somebody gets into an event, wherever in headers or URL it stood, in any spelling."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest_api.secrets import MAX_PARAMETERS, REDACTED, headers_without_secrets, url_without_secrets
from tests.unit.test_edge_log_body import posted

SECRET = "s3cret-Value"
HEADERS = (
    *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-portkey-api-key", "api-key", "x-api-key"),
    *("x-goog-api-key", "x-goog-iam-authorization-token", "apikey", "api_key", "x-amz-security-token", "client-secret"),
    *("ocp-apim-subscription-key", "x-portkey-virtual-key", "x-functions-key", "key", "x_key_id", "x-auth-password"),
    *("x-vault-token", "x-hub-signature", "x-amz-credential", "x-auth"),
)
PARAMETERS = (
    *("key", "api_key", "apikey", "token", "access_token", "sig", "signature", "password", "client_secret"),
    *("x-amz-signature", "x-amz-security-token", "x-amz-credential", "subscription-key", "pwd", "auth", "jwt"),
)
PLAIN = ("keep-alive", "x-monkey", "accept", "x-request-id", "keyboard", "content-type", "user-agent", "author")


@st.composite
def any_case(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    name = draw(st.sampled_from(names))
    capitals = draw(st.lists(st.booleans(), min_size=len(name), max_size=len(name)))
    return "".join(c.upper() if up else c for c, up in zip(name, capitals, strict=True))


def event_bytes(side: str, part: dict[str, Any]) -> bytes:
    (record,) = posted({"request": {}, "response": {}} | {side: part}).records
    return record.value


@given(any_case(HEADERS), st.sampled_from(["request", "response"]), st.sampled_from([SECRET, [SECRET], {"a": SECRET}]))
def test_no_secret_of_a_header_is_in_the_event(name: str, side: str, value: Any) -> None:
    value_of = event_bytes(side, {"headers": {"content-type": "text/plain", name: value}})
    assert SECRET.encode() not in value_of
    assert b"text/plain" in value_of


PLAIN_TEXT = st.text("abc123/%:;=._-~", max_size=8)


@given(any_case(PARAMETERS), st.sampled_from("?#&;"), PLAIN_TEXT, PLAIN_TEXT, st.booleans())
@example("key", "?", "", ";", False)
@example("access_token", "#", "a=b", "", False)
def test_no_secret_of_a_url_is_in_the_event(name: str, before: str, first: str, after: str, encoded: bool) -> None:
    written = name.replace("_", "%5F").replace("-", "%2d") if encoded else name
    opening = f"https://host/path{'' if before in '?#' else '?'}{first if before in '&;' else ''}"
    url = f"{opening}{before}{written}={after}{SECRET}&last=1"
    value = event_bytes("request", {"url": url})
    assert SECRET.encode() not in value
    assert b"last=1" in value


def test_a_user_and_password_before_the_host_do_not_pass() -> None:
    assert url_without_secrets(f"https://me:{SECRET}@host/a@b?c=d@e") == f"https://{REDACTED}@host/a@b?c=d@e"


@pytest.mark.parametrize("name", ["accessKey", "subscriptionKey", "AccessKeyId", "apiKey", "authToken"])
def test_words_run_together_are_told_apart_by_their_capitals(name: str) -> None:
    assert headers_without_secrets({name: SECRET}) == {name: REDACTED}


@pytest.mark.parametrize("name", PLAIN)
def test_other_headers_stay(name: str) -> None:
    headers = {name: "v", name.title(): "v", name.upper(): "v"}
    assert headers_without_secrets(headers) == headers


@pytest.mark.parametrize(
    "url",
    [
        "https://provider.example/v1/chat/completions?api-version=2024-02-01&model=m#top",
        "/relative/key=1/path?monkey=a;b&&=&x",
        "https://host/a//me:and@you",
        "not a url at all: \u00e9?%zz",
        "",
    ],
)
def test_a_url_without_secrets_stays_as_it_was_written(url: str) -> None:
    assert url_without_secrets(url) == url


@pytest.mark.parametrize("between", "&;#?")
def test_of_more_parameters_than_can_be_judged_none_is_kept(between: str) -> None:
    def url(parameters: int) -> str:
        return "https://host/path?" + between.join(f"p{n}=v{n}" for n in range(parameters))

    assert url_without_secrets(url(MAX_PARAMETERS)) == url(MAX_PARAMETERS)
    assert url_without_secrets(url(MAX_PARAMETERS + 1)) == f"https://host/path?{REDACTED}"

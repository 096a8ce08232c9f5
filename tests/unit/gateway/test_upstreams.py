"""Where a call may go, and what of its address is believed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstreams import Upstream, select_upstream, upstream_of
from runtime.http_errors import ApiError

OPENAI = upstream_of("https://api.openai.com")
LOCAL = upstream_of("http://127.0.0.1:11434/models/v1")


@pytest.mark.parametrize(
    ("given_address", "shown"),
    [
        ("https://api.openai.com/", "https://api.openai.com"),
        ("https://API.openai.com:443", "https://api.openai.com"),
        ("http://[::1]:8080/v1/", "http://[::1]:8080/v1"),
        ("http://host:443", "http://host:443"),
    ],
)
def test_an_address_is_shown_in_one_form(given_address: str, shown: str) -> None:
    assert str(upstream_of(given_address)) == shown


@pytest.mark.parametrize(
    "address",
    [
        "api.openai.com",
        "ftp://host",
        "http://",
        "http://user:pw@host",
        "https://api.openai.com\\@evil.example",
        "https://api.openai.com@evil.example",
        "http://host/?a",
        "http://host/#a",
        "http://host/a/../b",
        "http://host/%2e%2e/b",
        "http://host/a b",
        "http://ho\nst",
        "http://host:0",
        "http://host:99999",
        "http://ⓔxample.com",
    ],
)
def test_what_is_no_plain_address_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="must"):
        upstream_of(address)


def test_a_fault_in_an_address_quotes_no_password() -> None:
    with pytest.raises(ValueError, match="credentials") as fault:
        upstream_of("http://user:secret@host")
    assert "secret" not in str(fault.value)


@pytest.mark.parametrize(
    ("upstream", "path", "query", "url"),
    [
        (OPENAI, b"/v1/models", b"", "https://api.openai.com/v1/models"),
        (OPENAI, b"/v1/a%2Fb//c/../d", b"x=%20&y", "https://api.openai.com/v1/a%2Fb//c/../d?x=%20&y"),
        (OPENAI, b"//evil.example/", b"", "https://api.openai.com//evil.example/"),
        (LOCAL, b"/v1/chat", b"", "http://127.0.0.1:11434/models/v1/chat"),
        (LOCAL, b"/v1", b"", "http://127.0.0.1:11434/models/v1"),
        (LOCAL, b"/v10/chat", b"", "http://127.0.0.1:11434/models/v1/v10/chat"),
        (LOCAL, b"/chat", b"", "http://127.0.0.1:11434/models/v1/chat"),
    ],
)
def test_a_call_goes_to_its_path_at_the_upstream(upstream: Upstream, path: bytes, query: bytes, url: str) -> None:
    assert upstream.url_of(path, query) == url


@pytest.mark.parametrize("path", [b"*", b"@evil.example", b"evil", b""])
def test_a_target_that_is_no_path_is_refused(path: bytes) -> None:
    with pytest.raises(ApiError, match="must be a path"):
        OPENAI.url_of(path, b"")


@pytest.mark.parametrize("path", [b"/../other", b"/a/%2e%2E/b", b"/a/%252e./b", b"/a/..%2fb", b"/a/..%5cb", b"/./a"])
def test_no_path_leads_out_of_that_of_the_upstream(path: bytes) -> None:
    with pytest.raises(ApiError, match="between slashes"):
        LOCAL.url_of(path, b"")


def test_a_header_may_name_what_is_allowed_and_the_upstream_itself() -> None:
    assert select_upstream(OPENAI, [LOCAL], None) == OPENAI
    assert select_upstream(OPENAI, [LOCAL], b"http://127.0.0.1:11434/models/v1/") == LOCAL
    assert str(select_upstream(OPENAI, [], b"https://api.openai.com/v1")) == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "named",
    [
        b"http://api.openai.com",
        b"https://api.openai.com:444",
        b"https://api.openai.com.",
        b"https://api.openai.com.evil.example",
        b"http://127.0.0.1:11434",
        b"http://127.0.0.1:11434/models",
        b"http://127.0.0.1:11434/models/v1/more",
        b"http://0x7f.1:11434/models/v1",
        b"http://localhost:11434/models/v1",
        b"http://169.254.169.254/latest/meta-data",
        b"http://[::ffff:127.0.0.1]:11434/models/v1",
    ],
)
def test_any_other_address_is_forbidden(named: bytes) -> None:
    with pytest.raises(ApiError, match="FEEDBACK_GATEWAY_ALLOWED_UPSTREAMS") as refused:
        select_upstream(OPENAI, [LOCAL], named)
    assert refused.value.status == 403


def test_a_call_with_nowhere_to_go_is_told_so() -> None:
    with pytest.raises(ApiError, match="no upstream of its own"):
        select_upstream(None, [LOCAL], None)


@example(b"https://api.openai.com\x00.evil.example")
@given(st.binary(max_size=40).map(lambda tail: b"https://api.openai.com" + tail) | st.binary(max_size=60))
def test_whatever_the_header_says_the_call_stays_at_an_allowed_server(named: bytes) -> None:
    try:
        found = select_upstream(None, [OPENAI, LOCAL], named)
    except ApiError:
        return
    assert found.place in (OPENAI.place, LOCAL.place)
    assert found.url_of(b"/x", b"").startswith(f"{OPENAI if found.place == OPENAI.place else LOCAL}/")

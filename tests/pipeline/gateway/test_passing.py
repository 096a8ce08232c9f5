"""Calls pass the gateway as if it were not there, and are logged."""

import base64
import gzip
import json
import os
import socket
from typing import Any

import httpx
import pytest

from tests.pipeline.gateway.conftest import Gateway
from tests.pipeline.gateway.stand_in import PLAIN

CHAT = "/v1/chat/completions"
ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "user": "u-7"}
SECRETS = {
    "authorization": "Bearer sk-hidden-1",
    "x-api-key": "sk-hidden-2",
    "x-portkey-api-key": "sk-hidden-3",
    "cookie": "session=sk-hidden-4",
}


def names(request: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in request["headers"]}


def test_the_answer_is_that_of_a_direct_call(gateway: Gateway, client: httpx.Client) -> None:
    direct = httpx.post(f"{gateway.upstream_url}{CHAT}?a=%2F&b", json=ASKED, trust_env=False)
    passed = client.post(f"{CHAT}?a=%2F&b", json=ASKED)
    assert (passed.status_code, passed.content) == (direct.status_code, direct.content)
    trace_id = passed.headers.pop("x-portkey-trace-id")
    assert len(trace_id) == 32
    assert set(direct.headers.items()) - set(passed.headers.items()) == {("keep-alive", "5")}
    assert set(passed.headers.items()) <= set(direct.headers.items())


def test_the_upstream_sees_the_request_of_a_direct_call_but_for_what_is_the_gateways(
    gateway: Gateway, client: httpx.Client
) -> None:
    extra = SECRETS | {"x-portkey-metadata": '{"_user": "u"}', "x-custom": "größe", "te": "trailers", "X-Hop": "1"}
    extra |= {"connection": "keep-alive, x-hop", "accept-encoding": "br, gzip;q=0.5, zstd"}
    given = {name: value.encode() for name, value in extra.items()}
    httpx.post(f"{gateway.upstream_url}{CHAT}?a=%2F&b", json=ASKED, headers=given, trust_env=False)
    client.post(f"{CHAT}?a=%2F&b", json=ASKED, headers=given)
    direct, passed = gateway.seen()["requests"]
    assert (passed["method"], passed["target"], passed["body"]) == (
        direct["method"],
        direct["target"],
        direct["body"],
    )
    kept = names(direct)
    for name in ("x-portkey-api-key", "x-portkey-metadata", "te", "x-hop", "connection"):
        del kept[name]
    kept |= {"accept-encoding": "gzip;q=0.5", "host": f"127.0.0.1:{gateway.upstream_port}"}
    assert names(passed) == kept


def test_a_call_is_logged_with_what_its_headers_and_bodies_tell_and_no_credential(
    gateway: Gateway, client: httpx.Client
) -> None:
    headers = SECRETS | {
        "x-portkey-trace-id": "all-of-it",
        "x-portkey-span-id": "s-1",
        "x-portkey-provider": "openai",
        "x-portkey-metadata": json.dumps({"_user": "ada", "_environment": "test", "plan": {"seats": 3}}),
        "baggage": "team=blue,plan=shadowed",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    answer = client.post(f"{CHAT}?key=sk-hidden-5&stream=1", json=ASKED, headers=headers)
    assert answer.headers["x-portkey-trace-id"] == "all-of-it"
    log = gateway.logged("all-of-it")
    assert {name: log[name] for name in ("model", "provider", "status", "total_tokens", "method")} == {
        "model": "gpt-4o",
        "provider": "openai",
        "status": 200,
        "total_tokens": 7,
        "method": "post",
    }
    assert log["url"] == f"{gateway.upstream_url}{CHAT}?key=[redacted]&stream=1"
    assert log["metadata"] == {"_user": "ada", "_environment": "test", "plan": {"seats": 3}, "team": "blue"}
    assert (log["_user"], log["_environment"]) == ("ada", "test")
    assert (log["span_id"], log["parent_span_id"]) == ("s-1", "b7ad6b7169203331")
    assert (log["request_body"], log["response_body"]) == (ASKED, PLAIN)
    assert 0 < log["response_time_ms"] < 60_000
    assert log["response_headers"]["x-request-id"] == "r-1"
    assert log["response_headers"]["set-cookie"] == "[redacted]"
    # The receiver stands for the API: not even on the way there is one.
    assert b"hidden" not in b"".join(raw for *_, raw in gateway.receiver.calls)


def test_the_trace_is_that_of_the_headers_as_the_edge_reads_them(client: httpx.Client) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    own = "x-portkey-trace-id"
    for headers, expected in (
        ({own: "mine", "traceparent": parent}, "mine"),
        ({"traceparent": parent}, "0af7651916cd43dd8448eb211c80319c"),
        ({own: "mine", "x-portkey-metadata": '{"trace_id": "in-metadata"}'}, "in-metadata"),
        ({own: "x" * 513, "traceparent": parent}, "0af7651916cd43dd8448eb211c80319c"),
    ):
        assert client.post(CHAT, json=ASKED, headers=headers).headers[own] == expected


@pytest.mark.parametrize("metadata", ["{", "[1]", "7", '{"a": NaN}', '{"_user": {"a": 1}}', '{"a": "\\u0000"}'])
def test_metadata_that_cannot_be_stored_passes_and_is_logged_as_text(
    gateway: Gateway, client: httpx.Client, metadata: str
) -> None:
    trace_id = f"unreadable {metadata}"
    headers = {"x-portkey-trace-id": trace_id, "x-portkey-metadata": metadata}
    assert client.post(CHAT, json=ASKED, headers=headers).status_code == 200
    assert gateway.logged(trace_id)["metadata"] == {"x-portkey-metadata": metadata}


def test_errors_of_the_upstream_pass_as_they_are(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.post("/limited", json=ASKED, headers={"x-portkey-trace-id": "limited"})
    assert answer.status_code == 429
    assert answer.json() == {"error": {"message": "slow down", "type": "rate_limit"}}
    assert answer.headers["retry-after"] == "7"
    assert "x-secret-hop" not in answer.headers
    log = gateway.logged("limited")
    assert (log["status"], log["response_body"]) == (429, answer.json())


def test_no_redirect_is_followed_and_no_cookie_kept(gateway: Gateway, client: httpx.Client) -> None:
    answer = client.get("/away")
    assert (answer.status_code, answer.headers["location"]) == (302, "http://127.0.0.1:1/elsewhere")
    assert client.post(CHAT, json=ASKED).headers["set-cookie"] == "session=hidden"
    httpx.post(f"{gateway.url}{CHAT}", json=ASKED, trust_env=False)
    assert all("cookie" not in names(each) for each in gateway.seen()["requests"][-1:])


def test_every_method_and_an_answer_without_a_body_pass(gateway: Gateway, client: httpx.Client) -> None:
    head = client.head("/anything")
    assert (head.headers["content-length"], head.headers["x-kind"], head.content) == ("1234", "head", b"")
    nothing = client.delete("/nothing")
    assert (nothing.status_code, nothing.content) == (204, b"")
    for method in ("GET", "PUT", "PATCH", "OPTIONS"):
        assert client.request(method, "/v1/models").json() == PLAIN
    seen = [each["method"] for each in gateway.seen()["requests"]]
    assert seen == ["HEAD", "DELETE", "GET", "PUT", "PATCH", "OPTIONS"]


def test_bytes_of_any_kind_pass_and_are_logged_as_bytes(gateway: Gateway, client: httpx.Client) -> None:
    body = os.urandom(3_000)
    headers = {"content-type": "audio/wav", "x-portkey-trace-id": "bytes"}
    assert client.post("/echo", content=body, headers=headers).content == body
    log = gateway.logged("bytes")
    kept = {"$binary": {"bytes": 3_000, "base64": base64.b64encode(body).decode()}}
    assert log["request_body"] == log["response_body"] == kept


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_pass_whole_and_are_logged_by_their_beginning_and_their_facts(
    gateway: Gateway, client: httpx.Client, chunked: bool
) -> None:
    filling = "x" * 5_000_000
    body = json.dumps({"model": "gpt-4o", "input": filling, "usage": {"total_tokens": 41}}).encode()
    content: Any = (body[start : start + 70_000] for start in range(0, len(body), 70_000)) if chunked else body
    trace_id = f"large {chunked}"
    headers = {"x-portkey-trace-id": trace_id, "content-type": "application/json"}
    assert client.post("/echo", content=content, headers=headers).content == body
    log = gateway.logged(trace_id)
    assert (log["model"], log["total_tokens"]) == ("gpt-4o", 41)
    assert log["request_body"]["$truncated"] == {"bytes": len(body), "prefix": body[:1000].decode()}
    ((name, seen),) = [
        (name, value)
        for name, value in gateway.seen()["requests"][0]["headers"]
        if name.lower() in ("content-length", "transfer-encoding")
    ]
    assert (name.lower(), seen) == (("transfer-encoding", "chunked") if chunked else ("content-length", str(len(body))))


def test_an_answer_that_comes_before_the_request_is_complete_passes(client: httpx.Client) -> None:
    assert client.post("/early", content=b"x" * 3_000_000).status_code == 413


def test_compressed_answers_pass_compressed_and_are_logged_as_what_they_say(
    gateway: Gateway, client: httpx.Client
) -> None:
    with client.stream("POST", "/gzip", json=ASKED, headers={"x-portkey-trace-id": "gzip"}) as answer:
        assert json.loads(gzip.decompress(b"".join(answer.iter_raw()))) == PLAIN
    assert gateway.logged("gzip")["response_body"] == PLAIN


def raw_answer(gateway: Gateway, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(request)
        return connection.recv(100_000)


def test_headers_of_a_request_pass_byte_for_byte_in_whatever_charset(gateway: Gateway) -> None:
    head = b"x-latin: gr\xf6\xdfe\r\nx-utf-8: gr\xc3\xb6\xc3\x9fe\r\nx-neither: \xc3\xff"
    request = b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n" + head
    assert raw_answer(gateway, request + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    (seen,) = gateway.seen()["requests"]
    values = {name: value.encode("latin-1") for name, value in names(seen).items()}
    assert (values["x-latin"], values["x-utf-8"]) == (b"gr\xf6\xdfe", b"gr\xc3\xb6\xc3\x9fe")
    assert values["x-neither"] == b"\xc3\xff"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET http://127.0.0.1:1/v1/models HTTP/1.1\r\nhost: localhost", b"200"),
        (b"GET //127.0.0.1:1/v1/models HTTP/1.1\r\nhost: localhost", b"200"),
        (b"GET @127.0.0.1:1/ HTTP/1.1\r\nhost: localhost", b"400"),
        (b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: localhost", b"40"),
        (b"TRACE / HTTP/1.1\r\nhost: localhost", b"405"),
        (b"OPTIONS * HTTP/1.1\r\nhost: localhost", b"400"),
        (b"GET / HTTP/1.1\r\nhost: evil.example", b"403"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example", b"403"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nx-portkey-custom-host: http://127.0.0.1:1", b"403"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nx-portkey-custom-host: file:///etc/passwd", b"400"),
        (b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked", b"400"),
    ],
)
def test_a_call_reaches_no_server_but_the_upstream(gateway: Gateway, request_line: bytes, status: bytes) -> None:
    answer = raw_answer(gateway, request_line + b"\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    seen = gateway.seen()["requests"]
    assert len(seen) == (status == b"200")
    assert all(names(each)["host"] == f"127.0.0.1:{gateway.upstream_port}" for each in seen)

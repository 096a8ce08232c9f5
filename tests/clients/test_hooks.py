"""Calls to models that pass through httpx and requests: logged whole, passed on as they are, without credentials."""

import contextvars
import gzip
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import httpx2
import pytest
import requests

from feedback_client import Client, httpx2_transport, httpx_transport, tag, use_trace
from feedback_client.httpx_transport import LoggingTransport
from feedback_client.requests_adapter import LoggingAdapter
from tests.clients.conftest import MakeClient
from tests.clients.receiver import Receiver

ASKED = {"model": "gpt-4o", "user": "u-7", "messages": [{"role": "user", "content": "A title?"}]}
ANSWER = {"model": "gpt-4o-2", "choices": [{"message": {"content": "ü"}}], "usage": {"total_tokens": 57}}
CHUNKS = [
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hel"}}]},
    {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}]},
    {"id": "c", "model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
]
STREAM = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in CHUNKS] + [b"data: [DONE]\n\n"]
SECRET = "sk-secret"
BOMB = gzip.compress(b'"' + b" " * 64_000_000 + b'"')


class Provider:
    """A model's HTTP API. Each piece of a stream is sent once `may_go_on` is set."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if self.path.startswith("/v1/stream"):
                    self.begin("text/event-stream")
                    for piece in STREAM:
                        self.wfile.write(piece)
                        self.wfile.flush()
                        assert provider.may_go_on.wait(30)
                    return
                if self.path.startswith("/v1/broken"):
                    self.begin("application/json", ("content-length", "999"))
                    self.wfile.write(b"{")
                    return
                if self.path.startswith("/v1/bomb"):
                    self.begin("application/json", ("content-encoding", "gzip"))
                    self.wfile.write(BOMB)
                    return
                coding = self.headers.get("accept-encoding", "")
                body = json.dumps(ANSWER).encode()
                body = gzip.compress(body) if "gzip" in coding else body
                self.begin(
                    "application/json", ("set-cookie", SECRET), *[("content-encoding", "gzip")] * ("gzip" in coding)
                )
                self.wfile.write(body)

            def begin(self, content_type: str, *headers: tuple[str, str]) -> None:
                self.send_response(429 if self.path.startswith("/v1/limited") else 200)
                for name, value in [("content-type", content_type), *headers]:
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.may_go_on.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    running = Provider()
    yield running
    running.stop()


Post = Callable[..., Any]


@pytest.fixture(params=["httpx", "httpx2", "requests"])
def post(request: pytest.FixtureRequest, make_client: MakeClient) -> Iterator[tuple[Client, Post]]:
    """A client of the receiver, and what posts through a hook of it."""
    client = make_client()
    if request.param == "httpx":
        with httpx.Client(transport=LoggingTransport(client=client, max_body_bytes=2_000)) as http:
            yield client, http.post
    elif request.param == "httpx2":
        with httpx2.Client(transport=httpx2_transport.LoggingTransport(client=client, max_body_bytes=2_000)) as http2:
            yield client, http2.post
    else:
        with requests.Session() as session:
            session.mount("http://", LoggingAdapter(client=client, max_body_bytes=2_000))
            yield client, session.post


def logged(client: Client, receiver: Receiver) -> list[dict[str, Any]]:
    assert client.flush(30)
    return list(receiver.events.values())


def test_a_call_is_logged_with_all_it_tells_and_no_credential(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver
) -> None:
    client, send = post
    with use_trace("a-trace"):
        tag(prompt="titles")
        answer = send(
            f"http://user:{SECRET}@{provider.host}/v1/chat/completions?key={SECRET}",
            json=ASKED,
            headers={"authorization": f"Bearer {SECRET}", "x-api-key": SECRET},
        )
    assert (answer.status_code, answer.json()) == (200, ANSWER)
    (event,) = logged(client, receiver)
    assert (event["trace_id"], event["model"], event["total_tokens"]) == ("a-trace", "gpt-4o", 57)
    assert (event["_user"], event["_prompt"], event["status"]) == ("u-7", "titles", 200)
    assert (event["request_body"], event["response_body"]) == (ASKED, ANSWER)
    assert event["request_headers"] == event["response_headers"] == {"content-type": "application/json"}
    assert event["url"] == f"http://{provider.host}/v1/chat/completions"
    assert event["response_time_ms"] > 0
    assert not any(SECRET.encode() in body for *_, body in receiver.calls)


def test_only_calls_to_models_are_logged(post: tuple[Client, Post], provider: Provider, receiver: Receiver) -> None:
    client, send = post
    base = f"http://{provider.host}"
    send(f"{base}/v1/users", json={})
    send(f"{base}/v1/messages", data={"a": "form"})
    send(f"{base}/v1/embeddings", json={"model": "e"})
    send(f"{base}/v1/messages", json={"model": "a"}, headers={"x-portkey-trace-id": "sent-along"})
    found = logged(client, receiver)
    assert [event["model"] for event in found] == ["e", "a"]
    assert found[1]["trace_id"] == "sent-along"


def test_calls_outside_of_any_trace_are_traces_of_their_own(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver
) -> None:
    client, send = post

    def serve_one_request_after_the_other() -> None:
        for _ in range(2):
            send(f"http://{provider.host}/v1/messages", json=ASKED)

    contextvars.Context().run(serve_one_request_after_the_other)
    assert len({event["trace_id"] for event in logged(client, receiver)}) == 2


def test_hosts_that_are_named_are_logged_whatever_their_path(
    make_client: MakeClient, provider: Provider, receiver: Receiver
) -> None:
    client = make_client()
    with httpx.Client(transport=LoggingTransport(client=client, hosts=["127.0.0.1"])) as http:
        http.post(f"http://{provider.host}/limited", json={"model": "own"})
    (event,) = logged(client, receiver)
    assert event["model"] == "own"


def test_a_refusal_is_logged_with_its_status(post: tuple[Client, Post], provider: Provider, receiver: Receiver) -> None:
    client, send = post
    assert send(f"http://{provider.host}/v1/limited/messages", json=ASKED).status_code == 429
    (event,) = logged(client, receiver)
    assert event["status"] == 429


def test_a_stream_is_passed_on_piece_by_piece_and_logged_when_it_ends(
    make_client: MakeClient, provider: Provider, receiver: Receiver
) -> None:
    client = make_client()
    url = f"http://{provider.host}/v1/stream/chat/completions"
    with (
        httpx.Client(transport=LoggingTransport(client=client)) as http,
        http.stream("POST", url, json=ASKED) as answer,
    ):
        pieces = answer.iter_raw()
        # The provider sends the next piece only after this one has come through.
        first = next(pieces)
        assert STREAM[0].startswith(first) or first.startswith(STREAM[0])
        assert logged(client, receiver) == []
        provider.may_go_on.set()
        assert first + b"".join(pieces) == b"".join(STREAM)
    (event,) = logged(client, receiver)
    assert event["response_body"]["choices"][0]["message"]["content"] == "Hello"
    assert (event["model"], event["total_tokens"]) == ("gpt-4o", 5)


def test_a_stream_through_requests_is_passed_on_piece_by_piece_too(
    make_client: MakeClient, provider: Provider, receiver: Receiver
) -> None:
    client = make_client()
    session = requests.Session()
    session.mount("http://", LoggingAdapter(client=client))
    answer = session.post(f"http://{provider.host}/v1/stream/chat/completions", json=ASKED, stream=True)
    pieces = answer.iter_content(len(STREAM[0]))
    first = next(pieces)
    assert first == STREAM[0]
    assert logged(client, receiver) == []
    provider.may_go_on.set()
    assert first + b"".join(pieces) == b"".join(STREAM)
    (event,) = logged(client, receiver)
    assert event["response_body"]["choices"][0]["message"]["content"] == "Hello"
    session.close()


@pytest.mark.parametrize(("library", "transports"), [(httpx, httpx_transport), (httpx2, httpx2_transport)])
async def test_the_asynchronous_transports_log_streams_and_errors_alike(
    library: Any, transports: Any, make_client: MakeClient, provider: Provider, receiver: Receiver
) -> None:
    client = make_client()
    provider.may_go_on.set()
    async with library.AsyncClient(transport=transports.AsyncLoggingTransport(client=client)) as http:
        async with http.stream("POST", f"http://{provider.host}/v1/stream/chat/completions", json=ASKED) as answer:
            assert b"".join([piece async for piece in answer.aiter_raw()]) == b"".join(STREAM)
        with pytest.raises(library.ConnectError):
            await http.post("http://127.0.0.1:9/v1/messages", json=ASKED)
    whole, failed = logged(client, receiver)
    assert whole["total_tokens"] == 5
    assert (failed["status"], failed["response_body"]) == (502, {"error": {"type": "ConnectError"}})


def test_errors_are_passed_on_as_they_are_and_logged(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver
) -> None:
    client, send = post
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError, requests.ConnectionError)):
        send("http://127.0.0.1:9/v1/messages", json=ASKED)
    with pytest.raises(
        (httpx.RemoteProtocolError, httpx2.RemoteProtocolError, requests.exceptions.ChunkedEncodingError)
    ):
        send(f"http://{provider.host}/v1/broken/messages", json=ASKED)
    with pytest.raises((httpx.ReadTimeout, httpx2.ReadTimeout, requests.ConnectionError)):
        send(f"http://{provider.host}/v1/stream/messages", json=ASKED, timeout=0.2)
    found = logged(client, receiver)
    assert [event["status"] for event in found] == [502, 502, 504]
    assert all(set(event["response_body"]["error"]) == {"type"} for event in found)


def test_of_a_body_that_is_too_large_the_beginning_is_logged_and_what_it_tells(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver
) -> None:
    client, send = post
    send(f"http://{provider.host}/v1/messages", json={**ASKED, "input": "x" * 3_000})
    (event,) = logged(client, receiver)
    assert (event["model"], event["_user"]) == ("gpt-4o", "u-7")
    assert event["request_body"]["$truncated"]["bytes"] > 3_000
    assert len(event["request_body"]["$truncated"]["prefix"]) == 1_000


def test_an_answer_that_unpacks_to_a_large_one_is_unpacked_no_further_than_it_is_read(
    make_client: MakeClient, provider: Provider, receiver: Receiver
) -> None:
    client = make_client()
    with httpx.Client(transport=LoggingTransport(client=client)) as http:
        tracemalloc.start()
        try:
            with http.stream("POST", f"http://{provider.host}/v1/bomb/messages", json=ASKED) as answer:
                assert b"".join(answer.iter_raw()) == BOMB
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    (event,) = logged(client, receiver)
    assert event["response_body"]["$truncated"]["bytes"] > 1_000_000
    assert most < len(BOMB) + 16_000_000


def test_a_body_that_cannot_be_stored_as_json_is_logged_as_its_text(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver
) -> None:
    client, send = post
    deepest: Any = 1
    for _ in range(96):
        deepest = [deepest]
    for asked in ({"input": "a\0b"}, {"input": [deepest]}, {"input": deepest}):
        send(f"http://{provider.host}/v1/embeddings", json=asked)
    with_nul, too_deep, whole = (event["request_body"] for event in logged(client, receiver))
    assert json.loads(with_nul) == {"input": "a\0b"}
    assert json.loads(too_deep) == {"input": [deepest]}
    assert whole == {"input": deepest}


def test_a_log_that_cannot_be_stored_is_counted_and_the_call_goes_through(
    post: tuple[Client, Post], provider: Provider, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    client, send = post
    answer = send(f"http://{provider.host}/v1/messages", json={**ASKED, "user": "u" * 513})
    assert answer.json() == ANSWER
    assert logged(client, receiver) == []
    assert client.counts.refused == 1
    assert "a call to a model is not logged: request['body']['user'] must have at most 512" in caplog.text


def test_a_client_that_cannot_be_made_fails_no_call(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FEEDBACK_URL", "no address")
    with httpx.Client(transport=LoggingTransport()) as http:
        assert http.post(f"http://{provider.host}/v1/messages", json=ASKED).json() == ANSWER
    assert "FEEDBACK_URL" in caplog.text

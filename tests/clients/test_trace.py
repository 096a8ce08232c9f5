"""The trace of a request: where its id comes from, who sees it, and that nothing of a response is held back."""

import asyncio
import contextvars
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any

import pytest

from feedback_client import tag, trace_id, use_trace
from feedback_client.asgi import TraceMiddleware as Asgi
from feedback_client.trace import current_trace
from feedback_client.wsgi import TraceMiddleware as Wsgi
from tests.clients.conftest import MakeClient
from tests.clients.receiver import Receiver

W3C = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = [
    ({"x-portkey-trace-id": "mine", "traceparent": W3C}, "mine"),
    ({"x-portkey-trace-id": "größe"}, "größe"),
    ({"traceparent": W3C}, "4bf92f3577b34da6a3ce929d0e0e4736"),
    ({"traceparent": W3C.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)}, None),
    ({"traceparent": "ff" + W3C[2:]}, None),
    ({"x-portkey-trace-id": "x" * 513}, None),
    ({"x-portkey-trace-id": "a\x7fb"}, None),
    ({}, None),
]
Message = MutableMapping[str, Any]


async def call_app(app: Any, headers: dict[str, str], kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    await Asgi(app)(scope, receive, send)
    return sent


def is_expected(found: str, expected: str | None) -> bool:
    return found == expected if expected else len(found) == 32 and set(found) <= set("0123456789abcdef")


@pytest.mark.parametrize(("headers", "expected"), HEADERS)
async def test_asgi_gives_the_trace_id_to_the_handler_and_to_the_caller(
    headers: dict[str, str], expected: str | None
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = trace_id().encode()
        assert await asyncio.to_thread(trace_id) == trace_id()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": body})

    start, body = await call_app(app, headers)
    assert is_expected(body["body"].decode(), expected)
    assert start["headers"] == [(b"a", b"b"), (b"x-portkey-trace-id", body["body"])]


async def test_asgi_passes_each_message_at_once_and_keeps_a_header_that_is_there() -> None:
    passed: list[Message] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": [(b"X-Portkey-Trace-Id", b"own")]}
        await send(head)
        for number in range(3):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            passed.append({"after": number, "headers": head["headers"]})

    sent = await call_app(app, {})
    assert [each.get("body") for each in sent] == [None, b"0", b"1", b"2"]
    assert sent[0]["headers"] == [(b"X-Portkey-Trace-Id", b"own")]
    assert len(passed) == 3


async def test_asgi_leaves_websockets_as_they_are_but_for_the_trace() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": trace_id()})

    sent = await call_app(app, {"x-portkey-trace-id": "mine"}, "websocket")
    assert sent == [{"type": "websocket.accept"}, {"type": "websocket.send", "text": "mine"}]


async def test_asgi_sends_what_is_queued_before_the_server_ends(receiver: Receiver, make_client: MakeClient) -> None:
    make_client(linger_s=60.0).feedback(1, trace_id="t")
    seen: list[list[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.complete"})
        seen.append(receiver.trace_ids)
        await send({"type": "lifespan.shutdown.complete"})
        seen.append(receiver.trace_ids)

    sent = await call_app(app, {}, "lifespan")
    assert [each["type"] for each in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == [[], ["t"]]


@pytest.mark.parametrize(("headers", "expected"), HEADERS)
def test_wsgi_gives_the_trace_id_to_the_handler_its_stream_and_the_caller(
    headers: dict[str, str], expected: str | None
) -> None:
    told: list[tuple[str, list[tuple[str, str]]]] = []
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield trace_id().encode()
            yield trace_id().encode()

        def close(self) -> None:
            closed.append(trace_id())

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("a", trace_id())])
        return Body()

    environ = {
        f"HTTP_{name.upper().replace('-', '_')}": value.encode().decode("latin-1") for name, value in headers.items()
    }
    body = Wsgi(app)(environ, lambda status, headers: told.append((status, headers)))
    outside = contextvars.copy_context().run(trace_id)
    first = next(iter(body))
    assert contextvars.copy_context().run(trace_id) != first.decode(), "the request's trace is seen outside of it"
    parts = [first, *body]
    body.close()  # type: ignore[attr-defined]
    found = parts[0].decode()
    assert is_expected(found, expected)
    assert parts == [found.encode()] * 2
    assert closed == [found] != [outside]
    assert told == [("200 OK", [("a", found), ("x-portkey-trace-id", found.encode().decode("latin-1"))])]


def test_a_trace_id_is_made_once_in_a_context_and_each_thread_has_its_own() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend([trace_id(), trace_id()])) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    assert found[0] == found[1] != found[2] == found[3]


def test_tags_go_along_with_feedback_and_logs_of_their_trace(receiver: Receiver, make_client: MakeClient) -> None:
    client = make_client(linger_s=60.0)
    with use_trace("job") as inside:
        # As a worker thread of the request does, which has a copy of its context.
        contextvars.copy_context().run(lambda: tag(user="u", prompt="p", plan="pro"))
        client.feedback(1, user="other")
        client.log(request={}, response={})
        client.feedback(1, trace_id="another", metadata={"a": 1})
    assert inside == "job"
    assert current_trace().tags == {}
    assert client.flush(30)
    found = sorted((event["trace_id"], event["event"], event["metadata"]) for event in receiver.events.values())
    assert found == [
        ("another", "create", {"a": 1}),
        ("job", "create", {"_user": "other", "_prompt": "p", "plan": "pro"}),
        ("job", "request", {"_user": "u", "_prompt": "p", "plan": "pro"}),
    ]
    with pytest.raises(ValueError, match="trace_id cannot be a tag"):
        tag(trace_id="x")

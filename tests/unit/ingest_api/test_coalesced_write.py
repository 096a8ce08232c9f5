"""A response is sent in one write, complete and in order, as a full response or as ASGI messages."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from ingest_api.http.coalesced_write import FULL_RESPONSE, CoalescedWriteProtocol, CoalescedWriteTransport


class Written(asyncio.Transport):
    """A transport that records its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | str] = []

    def write(self, data: Any) -> None:
        self.calls.append(bytes(data))

    def close(self) -> None:
        self.calls.append("close")

    def is_closing(self) -> bool:
        return "close" in self.calls

    def pause_reading(self) -> None:
        """Requests that were sent together are all here already."""

    resume_reading = pause_reading


async def test_writes_of_one_turn_of_the_loop_are_sent_together_at_its_end() -> None:
    inner = Written()
    transport = CoalescedWriteTransport(inner, asyncio.get_running_loop())
    for number in range(2):
        transport.write(b"head")
        transport.write(b"")
        transport.write(b"body")
        assert inner.calls == [b"headbody"] * number
        await asyncio.sleep(0)
    assert inner.calls == [b"headbody"] * 2


async def test_a_close_comes_after_what_was_written_and_nothing_after_it() -> None:
    inner = Written()
    transport = CoalescedWriteTransport(inner, asyncio.get_running_loop())
    transport.write(b"answer")
    transport.close()
    await asyncio.sleep(0)
    assert inner.calls == [b"answer", "close"]


async def test_a_connection_that_was_lost_is_not_written_to() -> None:
    inner = Written()
    transport = CoalescedWriteTransport(inner, asyncio.get_running_loop())
    transport.write(b"too late")
    inner.close()
    await asyncio.sleep(0)
    assert inner.calls == ["close"]


BODY = b'{"status":"success"}'
HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY)), (b"x-request-id", b"r-1")]


async def as_full_response(scope: Any, receive: Any, send: Any) -> None:
    write = scope["extensions"][FULL_RESPONSE]
    if not write(scope, 503, HEAD, BODY):  # other requests have come after it already
        await as_messages(scope, receive, send)
    assert not write(scope, 503, HEAD, BODY), "a second answer"


async def as_messages(_: Any, __: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 503, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})


async def written(app: Any, sent: bytes) -> list[bytes | str]:
    config = uvicorn.Config(app, lifespan="off", access_log=False)
    config.load()
    state, inner = ServerState(), Written()
    state.default_headers = [(b"date", b"today")]
    connection = CoalescedWriteProtocol(config, state, {})
    connection.connection_made(inner)
    connection.data_received(sent)
    while state.tasks:
        await asyncio.gather(*state.tasks)
    await asyncio.sleep(0)
    assert state.total_requests == sent.count(b" / ")
    return inner.calls


@pytest.mark.parametrize(
    ("sent", "closes"),
    [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3, False),
        (b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n", False),
    ],
)
async def test_a_full_response_equals_what_uvicorn_makes_of_the_messages(sent: bytes, closes: bool) -> None:
    calls = await written(as_full_response, sent)
    assert calls == await written(as_messages, sent)
    assert ("close" in calls) is closes

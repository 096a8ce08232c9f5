"""Timeouts of client connections, and refusals of heads.

A connection is kept between requests for uvicorn's keep-alive time, whatever the edge takes to answer. A head that is
too large or not HTTP is refused with a response that the client can read.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from ingest_api.http.edge_protocol import EdgeProtocol
from runtime.idle_clients import ClientTimeoutProtocol, Connections

KEEP_ALIVE_S, TIMEOUT_S = 75, 30.0
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Served:
    """A client's connection to an app that answers on demand, and the server's side of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connections: Connections) -> None:
        self.reader, self.writer = reader, writer
        self.has_come, self.may_answer = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self._connections = connections

    async def asked(self) -> None:
        """Send a request, and wait until the server has it."""
        self.writer.write(REQUEST)
        await self.has_come.acquire()

    async def answered(self) -> None:
        """Let the request be answered, and read the answer."""
        self.may_answer.release()
        async with asyncio.timeout(10):
            assert await self.reader.readexactly(len(ANSWER)) == ANSWER

    @property
    def its(self) -> ClientTimeoutProtocol:
        """The server's side."""
        (connection,) = self._connections.last_activity
        return connection

    def check_timeouts(self, after_s: float) -> None:
        """Check the timeouts so many seconds after the last activity."""
        last = self._connections.last_activity[self.its]
        self.its.check_timeouts(last + after_s, last)

    @property
    def is_open(self) -> bool:
        return not self.its.transport.is_closing()


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    connections = Connections(10, TIMEOUT_S, EdgeProtocol)
    found: list[Served] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found[0].has_come.release()
        await found[0].may_answer.acquire()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn.Config(
        app, lifespan="off", timeout_keep_alive=KEEP_ALIVE_S, server_header=False, date_header=False
    )
    config.load()
    state = uvicorn.server.ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: connections.protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    found.append(Served(reader, writer, connections))
    try:
        yield found[0]
    finally:
        writer.close()
        server.close()


def test_an_idle_connection_is_closed_after_its_time_and_not_before() -> None:
    async def scenario() -> None:
        async with served() as one:
            for _ in range(2):
                await one.asked()
                await one.answered()
                one.check_timeouts(KEEP_ALIVE_S - 1)
                assert one.is_open
            one.check_timeouts(KEEP_ALIVE_S + 1)
            assert not one.is_open
            assert await one.reader.read() == b""

    asyncio.run(scenario())


def test_the_time_that_the_edge_takes_to_answer_does_not_count() -> None:
    async def scenario() -> None:
        async with served() as one:
            await one.asked()
            before = one._connections.last_activity[one.its]
            one.check_timeouts(KEEP_ALIVE_S + 1)
            assert one.is_open
            assert one._connections.last_activity[one.its] > before, "the time of answering does not count"
            await one.answered()
            one.check_timeouts(KEEP_ALIVE_S - 1)
            assert one.is_open

    asyncio.run(scenario())


def test_requests_that_were_sent_together_are_answered_one_after_the_other() -> None:
    async def scenario() -> None:
        async with served() as one:
            one.writer.write(REQUEST * 3)
            for _ in range(3):
                await one.answered()
            one.check_timeouts(KEEP_ALIVE_S - 1)
            assert one.is_open

    asyncio.run(scenario())


LONGEST = ClientTimeoutProtocol.most_target_bytes
LARGEST = ClientTimeoutProtocol.most_head_bytes


def head(target: int = 1, headers: bytes = b"") -> bytes:
    return b"GET /" + b"a" * (target - 1) + b" HTTP/1.1\r\nhost: x\r\n" + headers + b"\r\n"


def headers(size: int, each: int = 100) -> bytes:
    return (b"x-a: " + b"b" * (each - 7) + b"\r\n") * (size // each)


@pytest.mark.parametrize(
    ("sent", "status", "about"),
    [
        (head(LONGEST + 1), 414, "16384"),
        (head(100 * LONGEST), 414, "16384"),
        (b"GET /" + b"a" * 10 * LONGEST, 414, "16384"),
        (head(10_000_000), 414, "16384"),
        (head(1, headers(LARGEST * 2)), 431, "65536"),
        (head(1, headers(LARGEST * 2, each=LARGEST * 2)), 431, "65536"),
        (head(LONGEST, headers(LARGEST - LONGEST + 5000)), 431, "65536"),
        (head(1, b"x: " + b"b" * 20 * LARGEST), 431, "65536"),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"b" * 20 * LARGEST, 431, "65536"),
        (b"GET / HTTP/1.1\r\n" + b"x" * 20 * LARGEST, 431, "65536"),
        (b"no such thing\r\n\r\n", 400, "not HTTP"),
        (b"GET /\x00 HTTP/1.1\r\n\r\n" + b"a" * 1_000_000, 400, "not HTTP"),
    ],
)
def test_a_head_that_cannot_be_is_refused_and_the_client_sees_why(sent: bytes, status: int, about: str) -> None:
    async def scenario() -> None:
        async with served() as one, asyncio.timeout(20):
            one.writer.write(sent)
            answer = await one.reader.read()
            assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:100]
            top, body = answer.split(b"\r\n\r\n", 1)
            assert b"connection: close" in top
            error = json.loads(body)["error"]
            assert (error["code"], about in error["message"]) == ("AB01", True)
            await one.writer.drain()

    asyncio.run(scenario())


@pytest.mark.parametrize("sent", [head(LONGEST), head(LONGEST - 100, headers(LARGEST - LONGEST))])
def test_a_head_within_the_limits_is_taken(sent: bytes) -> None:
    async def scenario() -> None:
        async with served() as one:
            for _ in range(2):
                one.writer.write(sent)
                await one.answered()

    asyncio.run(scenario())


def test_bytes_after_a_large_body_are_not_counted_twice_for_the_next_head() -> None:
    async def scenario() -> None:
        async with served() as one:
            body = b"a" * 2 * LARGEST
            one.writer.write(head(1, b"content-length: %d\r\n" % len(body)) + body + REQUEST[:20])
            await one.answered()
            one.writer.write(REQUEST[20:])
            await one.answered()

    asyncio.run(scenario())


def test_a_refused_client_that_continues_to_send_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.request_head_limits._READ_ON_S", 0.1)

    async def send_on(one: Served) -> None:
        while True:
            one.writer.write(b"a" * 1000)
            await one.writer.drain()

    async def scenario() -> None:
        async with served() as one, asyncio.timeout(20):
            one.writer.write(head(LONGEST + 1))
            await one.reader.read()
            with pytest.raises(ConnectionError):
                await send_on(one)

    asyncio.run(scenario())

"""A connection between its requests: it stays for uvicorn's time and no longer, whatever the edge takes to answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from ingest_api.connections import Connections, PatientProtocol

KEEP_ALIVE_S, TIMEOUT_S = 75, 30.0
REQUEST = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Served:
    """A client's connection to an app that answers when it is told to, and what the server holds of it."""

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
    def its(self) -> PatientProtocol:
        """The server's side."""
        (connection,) = self._connections.heard
        return connection

    def look(self, after_s: float) -> None:
        """The look that the server takes at it so many seconds after it was heard of."""
        heard = self._connections.heard[self.its]
        self.its.look(heard + after_s, heard)

    @property
    def is_open(self) -> bool:
        return not self.its.transport.is_closing()


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def served() -> AsyncIterator[Served]:
    connections = Connections(10, TIMEOUT_S)
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
    async def tried() -> None:
        async with served() as one:
            for _ in range(2):
                await one.asked()
                await one.answered()
                one.look(KEEP_ALIVE_S - 1)
                assert one.is_open
            one.look(KEEP_ALIVE_S + 1)
            assert not one.is_open
            assert await one.reader.read() == b""

    asyncio.run(tried())


def test_what_the_edge_takes_to_answer_is_no_time_of_the_clients() -> None:
    async def tried() -> None:
        async with served() as one:
            await one.asked()
            before = one._connections.heard[one.its]
            one.look(KEEP_ALIVE_S + 1)
            assert one.is_open
            assert one._connections.heard[one.its] > before, "its time counts from when it was last being answered"
            await one.answered()
            one.look(KEEP_ALIVE_S - 1)
            assert one.is_open

    asyncio.run(tried())


def test_requests_that_were_sent_together_are_answered_one_after_the_other() -> None:
    async def tried() -> None:
        async with served() as one:
            one.writer.write(REQUEST * 3)
            for _ in range(3):
                await one.answered()
            one.look(KEEP_ALIVE_S - 1)
            assert one.is_open

    asyncio.run(tried())

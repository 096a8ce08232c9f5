"""Connections that cannot pin an edge: clients that stall, send without end, or stop reading are let go.

A request has to arrive whole within a time, counted from its first byte, or from the opening of the connection if it is
the first on it; an answer that is not read is kept for as long. There are only so many connections: a new one beyond
them takes the place of the one that has kept us waiting longest. What the edge itself takes to answer counts nowhere. A
connection that is idle between requests is closed after uvicorn's time for that. All of it is seen by one look a second
at every connection: a timer for each request would cost more than everything else here.
"""

import asyncio
import logging
from typing import Any

from ingest_api.http.coalesced_write import OneWriteProtocol
from runtime.http_errors import ApiError
from runtime.request_head_limits import LimitedHeadProtocol

_LOOK_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Connections:
    """All connections of a server. `protocol` is what uvicorn makes one with."""

    def __init__(self, most: int, receive_timeout_s: float) -> None:
        self._most = most
        self.receive_timeout_s = receive_timeout_s
        # When each last began a request, had one whole, or was seen to be answered; the quiet longest comes first.
        self.heard: dict[PatientProtocol, float] = {}
        self._next_look: asyncio.TimerHandle | None = None

    def protocol(self, **given: Any) -> "PatientProtocol":
        """One connection, with what uvicorn gives to its own."""
        return PatientProtocol(self, **given)

    def opened(self, connection: "PatientProtocol") -> None:
        """Take a connection in; if there are too many, let the one go that has kept us waiting longest."""
        self.heard[connection] = connection.loop.time()
        if self._next_look is None:
            self._next_look = connection.loop.call_later(_LOOK_EVERY_S, self._look, connection.loop)
        if len(self.heard) > self._most:
            oldest = next(each for each in self.heard if each is connection or not each.is_answering())
            del self.heard[oldest]
            if oldest is connection:
                oldest.refuse(ApiError(f"{self._most} connections are busy: try again later", status=503))
            else:
                oldest.transport.close()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # First, so that nothing which a look may raise can end the looking.
        self._next_look = loop.call_later(_LOOK_EVERY_S, self._look, loop) if self.heard else None
        now = loop.time()
        for connection, heard in list(self.heard.items()):
            try:
                connection.look(now, heard)
            except Exception:
                log.exception("a connection that cannot be looked at is closed")
                connection.transport.abort()


class PatientProtocol(LimitedHeadProtocol, OneWriteProtocol):
    """One connection, with patience that ends."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._heard = connections.heard
        # A first request is expected as soon as the connection is open.
        self._receiving = True
        self._has_begun = False
        self._unread = 0
        self._unread_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._connections.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._heard.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See whether a request is whole now; its time counts from its first byte."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body and not cycle.response_complete:
            self._receiving = self._has_begun = False
            self._note()
            return
        if not self._receiving:
            self._receiving = True
            self._note()
        self._has_begun = True

    def on_response_complete(self) -> None:
        """As uvicorn does it, but for a timer that would close the connection when it has been idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def resume_writing(self) -> None:
        """The client reads."""
        self._unread = 0
        super().resume_writing()

    def is_answering(self) -> bool:
        """Whether a request is whole and its answer is not."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and (self._in_new_head() or not cycle.more_body)

    def look(self, now: float, heard: float) -> None:
        """Let the client go if it has kept us waiting for too long. Times are in seconds, as the event loop counts."""
        limit = self._connections.receive_timeout_s
        unread = self.transport.get_write_buffer_size()
        if not self._unread or unread < self._unread:
            self._unread_since = now
        self._unread = unread
        if unread and now - self._unread_since > limit:
            self.transport.abort()
        elif self.is_answering() or (self._receiving and self.flow.read_paused):
            self._note()  # it is not the client who is slow
        elif now - heard > (limit if self._receiving else self.timeout_keep_alive):
            if not self._receiving or not self._has_begun:
                self.transport.close()  # nothing has been asked
            else:
                self.refuse(ApiError(f"the request did not arrive whole within {limit:g} s", status=408))

    def _note(self) -> None:
        heard = self._heard
        if heard.pop(self, None) is not None:  # else it was let go
            heard[self] = self.loop.time()

"""Timeouts and a limit for client connections, so that no client keeps one by stalling, endless sending or not reading.

A request has to arrive completely within a time. The time counts from its first byte, or from the opening of the
connection for the first request. A response that is not read is dropped after the same time. A connection that is idle
between requests is closed after uvicorn's keep-alive time. The time that the server takes to answer never counts.

The number of connections is limited: a new one beyond the limit replaces the one whose client has been inactive for the
longest time. One sweep a second over all connections checks all of this: a timer for each request would cost more than
everything else here.
"""

import asyncio
import logging
from typing import Any

from runtime.http_errors import ApiError
from runtime.request_head_limits import LimitedHeadProtocol

_SWEEP_EVERY_S = 1.0

log = logging.getLogger(__name__)


class Connections:
    """All connections of a server. uvicorn makes each with `protocol`, which is of this `kind`."""

    def __init__(self, most: int, receive_timeout_s: float, kind: "type[ClientTimeoutProtocol] | None" = None) -> None:
        self._most, self._kind = most, kind or ClientTimeoutProtocol
        self.receive_timeout_s = receive_timeout_s
        # When each last began or completed a request or was being answered; the longest inactive one comes first.
        self.last_activity: dict[ClientTimeoutProtocol, float] = {}
        self._next_sweep: asyncio.TimerHandle | None = None

    def protocol(self, **given: Any) -> "ClientTimeoutProtocol":
        """A new connection, with the arguments that uvicorn gives its own protocol."""
        return self._kind(self, **given)

    def add(self, connection: "ClientTimeoutProtocol") -> None:
        """Add a connection; if there are too many, close the one that has been inactive for the longest time."""
        self.last_activity[connection] = connection.loop.time()
        if self._next_sweep is None:
            self._next_sweep = connection.loop.call_later(_SWEEP_EVERY_S, self._sweep, connection.loop)
        if len(self.last_activity) > self._most:
            oldest = next(each for each in self.last_activity if each is connection or not each.is_answering())
            del self.last_activity[oldest]
            if oldest is connection:
                oldest.refuse(ApiError(f"{self._most} connections are busy: try again later", status=503))
            else:
                oldest.transport.close()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        # First, so that no error of a check can end the sweeps.
        self._next_sweep = loop.call_later(_SWEEP_EVERY_S, self._sweep, loop) if self.last_activity else None
        now = loop.time()
        for connection, last_activity in list(self.last_activity.items()):
            try:
                connection.check_timeouts(now, last_activity)
            except Exception:
                log.exception("a connection whose timeouts cannot be checked is closed")
                connection.transport.abort()


class ClientTimeoutProtocol(LimitedHeadProtocol):
    """The protocol of one connection, with timeouts for the client."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._connections = connections
        self._last_activity = connections.last_activity
        # A first request is expected as soon as the connection is open.
        self._receiving = True
        self._has_begun = False
        self._unread = 0
        self._unread_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first request."""
        super().connection_made(transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the sweeps."""
        self._last_activity.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note whether a request is complete now; its time counts from its first byte."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body and not cycle.response_complete:
            self._receiving = self._has_begun = False
            self._note_activity()
            return
        if not self._receiving:
            self._receiving = True
            self._note_activity()
        self._has_begun = True

    def on_response_complete(self) -> None:
        """Do what uvicorn does, without its timer for idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._unread = 0
        super().resume_writing()

    def is_answering(self) -> bool:
        """Whether a request is complete and its response is not."""
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and (self._in_new_head() or not cycle.more_body)

    def check_timeouts(self, now: float, last_activity: float) -> None:
        """Close the connection if its client has exceeded a timeout. Times are in seconds of the event loop's clock."""
        limit = self._connections.receive_timeout_s
        unread = self.transport.get_write_buffer_size()
        if not self._unread or unread < self._unread:
            self._unread_since = now
        self._unread = unread
        if unread and now - self._unread_since > limit:
            self.transport.abort()
        elif self.is_answering() or (self._receiving and self.flow.read_paused):
            self._note_activity()  # the server is slow, not the client
        elif now - last_activity > (limit if self._receiving else self.timeout_keep_alive):
            if not self._receiving or not self._has_begun:
                self.transport.close()  # no request has begun
            else:
                self.refuse(ApiError(f"the request did not arrive whole within {limit:g} s", status=408))

    def _note_activity(self) -> None:
        last_activity = self._last_activity
        if last_activity.pop(self, None) is not None:  # else it was closed to make room
            last_activity[self] = self.loop.time()

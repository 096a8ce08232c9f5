"""uvicorn's HTTP protocol with one system call for an answer instead of two.

uvicorn writes an answer's head and its body apart, and uvloop hands each to the system at once; that call costs more
than all that the edge does to decide about a feedback. Here what is written within one turn of the event loop goes
out together, at the end of it.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWriteProtocol(HttpToolsProtocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, writing to it by way of a OneWriteTransport."""
        super().connection_made(OneWriteTransport(transport, self.loop))  # type: ignore[arg-type]


class OneWriteTransport:
    """The part of a transport that uvicorn uses; all but writing and closing is the inner transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.abort = transport.abort

    def write(self, data: bytes) -> None:
        """Write at the end of this turn of the event loop."""
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written.append(data)

    def close(self) -> None:
        """Write what is left, and close."""
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: Any) -> None:
        """Hand the connection to another protocol."""
        self._flush()
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        written, self._written = self._written, []
        # A client that has gone gets nothing more.
        if written and not self._transport.is_closing():
            self._transport.write(b"".join(written))

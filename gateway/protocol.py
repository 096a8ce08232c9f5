"""uvicorn's HTTP protocol with a way to break off: a half answer reaches the caller as a half one.

An ASGI app cannot say that an answer ends before it is complete. Without this, uvicorn would log each as a fault of
the app.
"""

import asyncio
from typing import Any

from runtime.idle_clients import ClientTimeoutProtocol

BREAK_OFF = "feedback.break_off"
"""The ASGI extension whose value, when called, sends what is written and closes the connection."""


class GatewayProtocol(ClientTimeoutProtocol):
    """The HTTP protocol of one connection."""

    most_target_bytes = 65_536
    most_head_bytes = 262_144

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(transport)
        self._extensions: Any = {BREAK_OFF: self._break_off}

    def connection_lost(self, exc: Exception | None) -> None:
        """Break the reference of the protocol to itself."""
        self._extensions.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Offer the app to break off."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def _break_off(self) -> None:
        self.cycle.disconnected = True
        self.transport.close()

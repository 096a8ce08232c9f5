"""uvicorn's HTTP protocol with a way to break off: a half answer reaches the caller as a half one.

An ASGI app cannot say that an answer ends before it is complete. Without this, uvicorn would log each as a fault of
the app.
"""

from typing import Any

from runtime.asgi_extensions import ExtensionsProtocol
from runtime.idle_clients import ClientTimeoutProtocol

BREAK_OFF = "feedback.break_off"
"""The ASGI extension whose value, when called, sends what is written and closes the connection."""


class GatewayProtocol(ClientTimeoutProtocol, ExtensionsProtocol):
    """The HTTP protocol of one connection."""

    most_target_bytes = 65_536
    most_head_bytes = 262_144

    def asgi_extensions(self) -> dict[str, Any]:
        """Offer the app to break off."""
        return {BREAK_OFF: self._break_off}

    def _break_off(self) -> None:
        self.cycle.disconnected = True
        self.transport.close()

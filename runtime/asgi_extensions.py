"""Extensions of ASGI for uvicorn's HTTP protocol: actions on a connection for which ASGI has no message."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class ExtensionsProtocol(HttpToolsProtocol):
    """The protocol of one connection. A subclass names its extensions; the app finds them in the scope of a request."""

    def asgi_extensions(self) -> dict[str, Any]:
        """The extensions by name."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection."""
        super().connection_made(transport)
        # One dictionary for all requests, outside uvicorn's request cycle: inside, the cycle would refer to itself.
        self._extensions = self.asgi_extensions()

    def connection_lost(self, exc: Exception | None) -> None:
        """Break the reference of the protocol to itself."""
        self._extensions.clear()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Offer the extensions to the app."""
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

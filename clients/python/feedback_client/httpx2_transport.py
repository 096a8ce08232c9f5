"""Transports for httpx2 that log calls to models: `httpx2.Client(transport=LoggingTransport())`.

Client libraries that have moved on to httpx2 take these, such as Anthropic's; `httpx_transport` has those for httpx.
"""

from collections.abc import Iterable

import httpx2

from feedback_client.client import Client
from feedback_client.logged_exchange import AsyncLoggedStream, LoggedStream, alogged, logged
from feedback_client.model_calls import DEFAULT_BODY_BYTES, CallLogger


class LoggingTransport(httpx2.BaseTransport):
    """Wraps the transport of an `httpx2.Client`, a new one if none is given."""

    def __init__(
        self,
        wrapped: httpx2.BaseTransport | None = None,
        *,
        client: Client | None = None,
        hosts: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_BODY_BYTES,
    ) -> None:
        self._wrapped = wrapped or httpx2.HTTPTransport()
        self._logger = CallLogger(client, frozenset(hosts), max_body_bytes)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass the request on, and log it if it is a call to a model."""
        response: httpx2.Response = logged(self._logger, request, self._wrapped.handle_request, _Stream)
        return response

    def close(self) -> None:
        """Close the wrapped transport."""
        self._wrapped.close()


class AsyncLoggingTransport(httpx2.AsyncBaseTransport):
    """Wraps the transport of an `httpx2.AsyncClient`, a new one if none is given."""

    def __init__(
        self,
        wrapped: httpx2.AsyncBaseTransport | None = None,
        *,
        client: Client | None = None,
        hosts: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_BODY_BYTES,
    ) -> None:
        self._wrapped = wrapped or httpx2.AsyncHTTPTransport()
        self._logger = CallLogger(client, frozenset(hosts), max_body_bytes)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass the request on, and log it if it is a call to a model."""
        response: httpx2.Response = await alogged(
            self._logger, request, self._wrapped.handle_async_request, _AsyncStream
        )
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._wrapped.aclose()


class _Stream(LoggedStream, httpx2.SyncByteStream):
    """As the client wants its streams."""


class _AsyncStream(AsyncLoggedStream, httpx2.AsyncByteStream):
    """As the client wants its streams."""

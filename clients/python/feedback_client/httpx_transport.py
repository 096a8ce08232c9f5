"""Transports for httpx that log calls to models: `httpx.Client(transport=LoggingTransport())`.

Any client library that is built on httpx and takes an `http_client` can use them, such as OpenAI's.
"""

from collections.abc import Iterable

import httpx

from feedback_client.client import Client
from feedback_client.logged_exchange import AsyncLoggedStream, LoggedStream, alogged, logged
from feedback_client.model_calls import DEFAULT_BODY_BYTES, CallLogger


class LoggingTransport(httpx.BaseTransport):
    """Wraps the transport of an `httpx.Client`, a new one if none is given."""

    def __init__(
        self,
        wrapped: httpx.BaseTransport | None = None,
        *,
        client: Client | None = None,
        hosts: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_BODY_BYTES,
    ) -> None:
        self._wrapped = wrapped or httpx.HTTPTransport()
        self._logger = CallLogger(client, frozenset(hosts), max_body_bytes)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, and log it if it is a call to a model."""
        response: httpx.Response = logged(self._logger, request, self._wrapped.handle_request, _Stream)
        return response

    def close(self) -> None:
        """Close the wrapped transport."""
        self._wrapped.close()


class AsyncLoggingTransport(httpx.AsyncBaseTransport):
    """Wraps the transport of an `httpx.AsyncClient`, a new one if none is given."""

    def __init__(
        self,
        wrapped: httpx.AsyncBaseTransport | None = None,
        *,
        client: Client | None = None,
        hosts: Iterable[str] = (),
        max_body_bytes: int = DEFAULT_BODY_BYTES,
    ) -> None:
        self._wrapped = wrapped or httpx.AsyncHTTPTransport()
        self._logger = CallLogger(client, frozenset(hosts), max_body_bytes)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request on, and log it if it is a call to a model."""
        response: httpx.Response = await alogged(
            self._logger, request, self._wrapped.handle_async_request, _AsyncStream
        )
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._wrapped.aclose()


class _Stream(LoggedStream, httpx.SyncByteStream):
    """As the client wants its streams."""


class _AsyncStream(AsyncLoggedStream, httpx.AsyncByteStream):
    """As the client wants its streams."""

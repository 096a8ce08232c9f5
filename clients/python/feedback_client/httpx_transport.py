"""Transports for httpx that log calls to models: `httpx.Client(transport=LoggingTransport())`.

Any client that is built on httpx and takes an `http_client` can use them, such as those of OpenAI and Anthropic.
"""

from collections.abc import AsyncIterator, Iterable, Iterator

import httpx

from feedback_client.client import Client
from feedback_client.model_calls import DEFAULT_BODY_BYTES, CallLogger, ModelCall, trace_id_in


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
        call = _begin(self._logger, request)
        if call is None:
            return self._wrapped.handle_request(request)
        try:
            response = self._wrapped.handle_request(request)
        except BaseException as error:
            call.fail(error)
            raise
        _answered(call, response)
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _LoggedStream(response.stream, call)
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
        call = _begin(self._logger, request)
        if call is None:
            return await self._wrapped.handle_async_request(request)
        try:
            response = await self._wrapped.handle_async_request(request)
        except BaseException as error:
            call.fail(error)
            raise
        _answered(call, response)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _AsyncLoggedStream(response.stream, call)
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._wrapped.aclose()


class _LoggedStream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, call: ModelCall) -> None:
        self._stream, self._call = stream, call

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                self._call.receive(chunk)
                yield chunk
        except Exception as error:
            self._call.fail(error)
            raise

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._call.end()


class _AsyncLoggedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, call: ModelCall) -> None:
        self._stream, self._call = stream, call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                self._call.receive(chunk)
                yield chunk
        except Exception as error:
            self._call.fail(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.end()


def _begin(logger: CallLogger, request: httpx.Request) -> ModelCall | None:
    def body() -> bytes | None:
        try:
            return None if "content-encoding" in request.headers else request.content
        except httpx.RequestNotRead:  # it is streamed to the model, and may be read once only
            return None

    content_type = request.headers.get("content-type", "")
    return logger.begin(request.method, str(request.url), content_type, body, trace_id_in(request.headers.items()))


def _answered(call: ModelCall, response: httpx.Response) -> None:
    coding = response.headers.get("content-encoding")

    def decode(raw: bytes) -> bytes:
        return httpx.Response(200, headers={"content-encoding": coding}, content=raw).content if coding else raw

    call.answered(response.status_code, response.headers.get("content-type", ""), decode)

"""One exchange of an HTTP client of httpx's kind: the request passed on, the answer listened to, the call logged.

httpx and its successor httpx2 have the same interface and classes of their own; their transports share this.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import httpx

from feedback_client.model_calls import CallLogger, ModelCall, trace_id_in


def logged(logger: CallLogger, request: Any, send: Callable[[Any], Any], stream_type: Callable[..., Any]) -> Any:
    """The response to a request that `send` sends; its stream is one of `stream_type` if it is a call to a model."""
    call = _begin(logger, request)
    if call is None:
        return send(request)
    try:
        response = send(request)
    except BaseException as error:
        call.fail(error)
        raise
    return _listened(call, response, stream_type)


async def alogged(
    logger: CallLogger, request: Any, send: Callable[[Any], Awaitable[Any]], stream_type: Callable[..., Any]
) -> Any:
    """The same, where `send` is asynchronous."""
    call = _begin(logger, request)
    if call is None:
        return await send(request)
    try:
        response = await send(request)
    except BaseException as error:
        call.fail(error)
        raise
    return _listened(call, response, stream_type)


class LoggedStream:
    """The bytes of a response, each piece passed on at once and noted for the log."""

    def __init__(self, stream: Any, call: ModelCall) -> None:
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
        """Close the stream; the call has ended."""
        try:
            self._stream.close()
        finally:
            self._call.end()


class AsyncLoggedStream:
    """The same of an asynchronous response."""

    def __init__(self, stream: Any, call: ModelCall) -> None:
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
        """Close the stream; the call has ended."""
        try:
            await self._stream.aclose()
        finally:
            self._call.end()


def _begin(logger: CallLogger, request: Any) -> ModelCall | None:
    def body() -> bytes | None:
        try:
            return None if "content-encoding" in request.headers else request.content
        except RuntimeError:  # it is streamed to the model, and can be read once only
            return None

    content_type = request.headers.get("content-type", "")
    return logger.begin(request.method, str(request.url), content_type, body, trace_id_in(request.headers.items()))


def _listened(call: ModelCall, response: Any, stream_type: Callable[..., Any]) -> Any:
    coding = response.headers.get("content-encoding")

    def decode(pieces: Iterable[bytes]) -> Iterator[bytes]:
        if not coding:
            return iter(pieces)
        return httpx.Response(200, headers={"content-encoding": coding}, content=pieces).iter_bytes()

    call.answered(response.status_code, response.headers.get("content-type", ""), decode)
    response.stream = stream_type(response.stream, call)
    return response

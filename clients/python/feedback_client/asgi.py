"""ASGI middleware that gives each request a trace: FastAPI, Starlette, Django, Quart and the like.

Messages pass as they come, so streams stream; of a response only the head gets a header more.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from feedback_client.client import flush_all
from feedback_client.trace import TRACE_HEADER, incoming_trace_id, use_trace

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HEADER = TRACE_HEADER.encode()


class TraceMiddleware:
    """Takes the trace id from `x-portkey-trace-id` or `traceparent`, or makes one, and answers with it.

    While a handler runs, `feedback_client.trace_id()` is that id. When the server shuts down, what is queued is sent
    before the server is told that the app has ended, because few servers let a process end in the ordinary way.
    """

    def __init__(self, app: App, shutdown_timeout_s: float = 5.0) -> None:
        self._app = app
        self._shutdown_timeout_s = shutdown_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on to the app."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._flushing(send))
            return
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        with use_trace(incoming_trace_id(headers.get(_HEADER, b""), headers.get(b"traceparent", b""))) as trace_id:
            await self._app(scope, receive, _naming(trace_id.encode(), send) if scope["type"] == "http" else send)

    def _flushing(self, send: Send) -> Send:
        async def flushing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(flush_all, self._shutdown_timeout_s)
            await send(message)

        return flushing


def _naming(trace_id: bytes, send: Send) -> Send:
    async def naming(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            if all(bytes(name).lower() != _HEADER for name, _ in headers):
                message = {**message, "headers": [*headers, (_HEADER, trace_id)]}
        await send(message)

    return naming

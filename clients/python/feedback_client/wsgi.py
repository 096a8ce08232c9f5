"""WSGI middleware that gives each request a trace: Flask, Django and the like."""

from collections.abc import Callable, Iterable, Iterator
from contextvars import Context, copy_context
from typing import Any

from feedback_client.trace import TRACE_HEADER, enter_trace, incoming_trace_id

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class TraceMiddleware:
    """Takes the trace id from `x-portkey-trace-id` or `traceparent`, or makes one, and answers with it.

    While a handler runs, and while its response is streamed, `feedback_client.trace_id()` is that id.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        own = environ.get("HTTP_X_PORTKEY_TRACE_ID", "").encode("latin-1")
        traceparent = environ.get("HTTP_TRACEPARENT", "").encode("latin-1")
        trace_id = incoming_trace_id(own, traceparent)

        def naming(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if all(name.lower() != TRACE_HEADER for name, _ in headers):
                headers = [*headers, (TRACE_HEADER, trace_id.encode().decode("latin-1"))]
            return start_response(status, headers, *error)

        # A context of the request's own: the server's thread serves others later, and between two parts of a stream.
        context = copy_context()
        context.run(enter_trace, trace_id)
        return _InContext(context, context.run(self._app, environ, naming))


class _InContext:
    """A response body whose every part is made in the context of its request."""

    def __init__(self, context: Context, body: Iterable[bytes]) -> None:
        self._context = context
        self._body = body
        self._parts: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._parts is None:
            self._parts = self._context.run(iter, self._body)
        return self._context.run(next, self._parts)

    def close(self) -> None:
        """Let the app clean up, as WSGI asks."""
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)

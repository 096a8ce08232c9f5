"""Passes one call on to its upstream and the response back, each byte as it comes, and records what passed.

The caller sees exactly what the upstream does: its status, its headers, its pace, and where a response breaks off.
Errors of the gateway's own have the body of the HTTP API's errors.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import aiohttp
from yarl import URL

from gateway.call_record import CallOutcome, CallRecord
from gateway.header_bytes import text_of_headers
from gateway.passed_headers import to_caller, to_upstream
from gateway.protocol import BREAK_OFF
from runtime.http_errors import ApiError, error_body
from runtime.trace_headers import TRACE_ID

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ERRORS = {
    CallOutcome.UPSTREAM_TIMED_OUT: (
        504,
        "the upstream {} sent nothing for the time of FEEDBACK_GATEWAY_TIMEOUT_S",
    ),
    CallOutcome.UPSTREAM_UNREACHABLE: (
        502,
        "the upstream {} did not answer: it cannot be reached, ended the call, or sent no status from 200 to 599",
    ),
}


class _NoStatusError(aiohttp.ClientError):
    """What the upstream has sent as its status cannot be the status of an answer."""


class _CallerLeftError(Exception):
    """The caller closed the connection before the request was complete."""


class Call:
    """One call that passes."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, record: CallRecord, upstream: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._record = record
        self._upstream = upstream
        self._caller_left = self._has_ended = False
        self._task: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None  # keeps the task referenced

    async def run(self, session: aiohttp.ClientSession) -> CallOutcome:
        """Pass the call on; how it ended."""
        self._task = asyncio.current_task()
        response: aiohttp.ClientResponse | None = None
        try:
            response = await session.request(
                self._record.method,
                URL(self._record.url, encoded=True),
                headers=text_of_headers(to_upstream(self._record.request_headers)),
                data=await self._body(),
                allow_redirects=False,
            )
            await self._answer(response)
            outcome = CallOutcome.COMPLETE
        except asyncio.CancelledError:
            if not self._caller_left:
                raise
            outcome = CallOutcome.CALLER_LEFT
        except (aiohttp.ClientError, TimeoutError, OSError, _CallerLeftError) as error:
            outcome = self._outcome(error)
        finally:
            self._has_ended = True
            if response is not None and not response.content.is_eof():
                response.close()
        self._record.end(outcome)
        if outcome in _ERRORS and self._record.status is None:
            await self._send_error(outcome)
        elif outcome is not CallOutcome.COMPLETE:
            self._break_off()
        return outcome

    async def _body(self) -> bytes | AsyncIterator[bytes] | None:
        """The body of the request: its bytes where they are all there, or what gives them as they come."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise self._left()
        body: bytes = message.get("body", b"")
        self._record.request_body.add(body)
        if message.get("more_body"):
            return self._rest_of_body(body)
        self._watch()
        has_body = body or any(name == b"content-length" for name, _ in self._record.request_headers)
        return body if has_body else None

    async def _rest_of_body(self, body: bytes) -> AsyncIterator[bytes]:
        if body:
            yield body
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise self._left()
            body, more = message.get("body", b""), message.get("more_body", False)
            self._record.request_body.add(body)
            if body:
                yield body
        self._watch()

    async def _answer(self, response: aiohttp.ClientResponse) -> None:
        record, send = self._record, self._send
        if not 200 <= response.status <= 599:
            raise _NoStatusError
        record.begin_response(response.status, list(response.raw_headers))
        headers = to_caller(response.raw_headers, record.trace.trace_id.encode())
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.content.iter_any():
            record.response_body.add(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _watch(self) -> None:
        """From now on, let go of the upstream when the caller leaves."""
        self._watching = asyncio.get_running_loop().create_task(self._until_left())

    async def _until_left(self) -> None:
        await self._receive()
        if not self._has_ended and self._task is not None:
            self._caller_left = True
            self._task.cancel()

    def _left(self) -> _CallerLeftError:
        self._caller_left = True
        return _CallerLeftError()

    def _outcome(self, error: Exception) -> CallOutcome:
        if self._caller_left:
            return CallOutcome.CALLER_LEFT
        if isinstance(error, TimeoutError):
            return CallOutcome.UPSTREAM_TIMED_OUT
        return CallOutcome.UPSTREAM_UNREACHABLE if self._record.status is None else CallOutcome.UPSTREAM_BROKE_OFF

    async def _send_error(self, outcome: CallOutcome) -> None:
        status, message = _ERRORS[outcome]
        await refuse(self._send, ApiError(message.format(self._upstream), status=status), self._record.trace.trace_id)

    def _break_off(self) -> None:
        break_off = self._scope.get("extensions", {}).get(BREAK_OFF)
        if break_off is not None:
            break_off()


async def refuse(send: Send, error: ApiError, trace_id: str) -> None:
    """Answer a call with an error of the gateway's own."""
    body = error_body(error)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers.append((TRACE_ID, trace_id.encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

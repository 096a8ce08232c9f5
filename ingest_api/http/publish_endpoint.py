"""A publishing endpoint as plain ASGI: check access, read the body, decide, publish, respond.

FastAPI's own handling of a route costs more than all of this together. Promises a response in the one error body for
every failure, a 200 only after Kafka's acknowledgement, and never more of a body in memory than the limit.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any

from ingest_api.access.access_control import AccessControl
from ingest_api.errors import OUTCOME_UNKNOWN
from ingest_api.http.body_room import BodyRoom, HeldBody
from ingest_api.http.coalesced_write import FULL_RESPONSE
from ingest_api.http.dialects import Dialect, DialectOf
from ingest_api.http.telemetry import (
    REQUEST_ID_HEADER,
    EndpointTelemetry,
    log_under_request_id,
    reason_of,
    request_id_of,
)
from ingest_api.kafka.publisher import Publisher
from runtime.http_errors import ApiError
from runtime.log_setup import REQUEST_ID, promised_fields
from runtime.request_headers import headers_of

AsgiScope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

NOT_TO_BE_REPEATED = b"x-portkey-request-id"

_SLOW_FROM_BYTES = 100_000
"""Slow bodies from this size on are read and decided in a thread."""

log = logging.getLogger(__name__)


class _ClientGoneError(Exception):
    """The client has closed its connection before its body was complete, so no response is needed."""


class PublishingEndpoint:
    """One publishing endpoint as an ASGI app.

    `access_control` returns the caller or raises ApiError. `dialect_of` says by the headers of a request how its
    body is read, decided and answered. `telemetry` counts and logs the outcome. `room` bounds the bodies of all calls.
    """

    def __init__(
        self,
        publisher: Publisher,
        access_control: AccessControl,
        max_body_bytes: int,
        dialect_of: DialectOf,
        telemetry: EndpointTelemetry,
        room: BodyRoom,
    ) -> None:
        self._publisher = publisher
        self._access_control = access_control
        self._max_body_bytes = max_body_bytes
        self._dialect_of = dialect_of
        self._telemetry = telemetry
        self._room = room

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        began = perf_counter()
        extra: Headers = []
        bucket = None
        headers = dict(scope["headers"])
        request_id = request_id_of(headers)
        dialect = self._dialect_of(headers)
        held = HeldBody(self._room)
        try:
            if len(headers) < len(scope["headers"]):
                headers = headers_of(scope["headers"])
            caller, bucket = self._access_control.admit(headers)
            body = await _body(headers, receive, self._max_body_bytes, held)
            if dialect.slow and len(body) > _SLOW_FROM_BYTES:
                body = await asyncio.to_thread(dialect.read, headers, body)
            else:
                body = dialect.read(headers, body)
            if dialect.specific is not None:
                dialect = dialect.specific(body) or dialect
            if dialect.slow and len(body) > _SLOW_FROM_BYTES:
                accepted = await asyncio.to_thread(dialect.decide, scope["path"], headers, body, caller)
            else:
                accepted = dialect.decide(scope["path"], headers, body, caller)
            if bucket is not None:
                bucket.take(max(0, len(accepted.records) - 1))
            if accepted.records:
                await self._publisher.publish(accepted.records)
            self._telemetry.count_accepted(accepted)
            status, answer = 200, dialect.reply(accepted)
        except _ClientGoneError:
            return
        except Exception as error:
            log_under_request_id(request_id)
            status, answer, extra = self._failed(error, dialect)
        finally:
            held.release()
        if bucket is not None:
            extra = [*extra, *bucket.headers()]
        head = [
            (b"content-type", dialect.media_type),
            (b"content-length", b"%d" % len(answer)),
            (REQUEST_ID_HEADER, request_id),
            *extra,
        ]
        write = scope.get("extensions", {}).get(FULL_RESPONSE)
        if write is None or not write(scope, status, head, answer):
            await send({"type": "http.response.start", "status": status, "headers": head})
            await send({"type": "http.response.body", "body": answer})
        self._telemetry.count_response(status, perf_counter() - began)

    def _failed(self, error: Exception, dialect: Dialect) -> tuple[int, bytes, Headers]:
        """Count and log a request that is not accepted; returns status, body and headers of its response."""
        if not isinstance(error, ApiError):
            error = internal_error()
        extra = [*error.headers]
        if error.reason == OUTCOME_UNKNOWN:
            extra.append(_not_to_be_repeated())
        self._telemetry.count_refused(error.status, reason_of(error))
        return error.status, dialect.failure(error), extra


def internal_error() -> ApiError:
    """Log the current exception; returns the 500 that names the request."""
    log.exception("internal error", extra=promised_fields())
    message = f"internal error: look for {REQUEST_ID.get()} in the edge's log"
    return ApiError(message, status=500, headers=[_not_to_be_repeated()], reason="internal")


def _not_to_be_repeated() -> tuple[bytes, bytes]:
    # Portkey's SDKs repeat a 5xx at once unless it has this header; events that have arrived would be stored twice.
    return NOT_TO_BE_REPEATED, REQUEST_ID.get().encode()


async def _body(headers: Mapping[bytes, bytes], receive: Receive, limit: int, held: HeldBody) -> bytes:
    length = headers.get(b"content-length", b"")
    if len(length) > 18 or (length.isdigit() and int(length) > limit):
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _ClientGoneError
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        chunks, size = [body], len(body)
        while message.get("more_body"):
            if size > limit:
                raise _too_large(limit)
            held.grow_to(size)
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        body = b"".join(chunks)
    if len(body) > limit:
        raise _too_large(limit)
    held.grow_to(len(body))
    return body


def _too_large(limit: int) -> ApiError:
    return ApiError(f"the body is larger than {limit} bytes: send it in parts", status=413)

"""The publishing endpoints as plain ASGI: read the body, decide, publish, answer.

FastAPI's own handling of a route costs more than all of this together. Promises an answer in the one error body
for whatever goes wrong, a 200 only after Kafka's acknowledgement, and never more of a body in memory than the limit.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

from ingest_api.body_headers import check_body_headers
from ingest_api.errors import RefusedError, UnavailableError
from ingest_api.publisher import Publisher
from ingest_api.records import Accepted
from schemas.failures import error_body

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Decide = Callable[[str, Mapping[bytes, bytes], bytes], Accepted]
Headers = list[tuple[bytes, bytes]]

RETRY_AFTER_S = 1
REQUEST_ID = "x-portkey-request-id"

_JSON = (b"content-type", b"application/json")
_RETRY_AFTER = (b"retry-after", str(RETRY_AFTER_S).encode())

log = logging.getLogger(__name__)


class _ClientGoneError(Exception):
    """The client has closed its connection before its body was complete; nobody waits for an answer."""


class PublishingEndpoint:
    """One ASGI endpoint.

    `decide` makes of path, headers and body what to publish, or raises RefusedError; `reply` makes of it the body of
    the 200.
    """

    def __init__(
        self, publisher: Publisher, max_body_bytes: int, decide: Decide, reply: Callable[[Accepted], bytes]
    ) -> None:
        self._publisher = publisher
        self._max_body_bytes = max_body_bytes
        self._decide = decide
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        extra: Headers = []
        try:
            headers = dict(scope["headers"])
            body = await _body(headers, receive, self._max_body_bytes)
            accepted = self._decide(scope["path"], headers, body)
            await self._publisher.publish(accepted.records)
            status, answer = 200, self._reply(accepted)
        except RefusedError as refusal:
            status, answer = refusal.status, error_body(refusal.status, refusal.message, refusal.param)
        except UnavailableError as fault:
            status, answer, extra = _unavailable(fault)
        except _ClientGoneError:
            return
        except Exception:
            status, answer, extra = internal_error()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [_JSON, (b"content-length", b"%d" % len(answer)), *extra],
            }
        )
        await send({"type": "http.response.body", "body": answer})


def internal_error() -> tuple[int, bytes, Headers]:
    """Log the exception at hand under a request id; status, body and headers of the 500 that names it."""
    request_id = _request_id()
    told = f"internal error: the edge's log has its cause under {request_id[1].decode()}"
    log.exception(told)
    return 500, error_body(500, told), [request_id]


def _unavailable(fault: UnavailableError) -> tuple[int, bytes, Headers]:
    if not fault.outcome_unknown:
        return 503, error_body(503, f"nothing was stored: {fault.reason}; try again later"), [_RETRY_AFTER]
    told = f"it is not known whether all was stored: {fault.reason}"
    # Portkey's SDKs repeat a 5xx at once unless it carries this header; what has arrived would be stored twice.
    return 503, error_body(503, told), [_RETRY_AFTER, _request_id()]


def _request_id() -> tuple[bytes, bytes]:
    return REQUEST_ID.encode(), str(uuid4()).encode()


async def _body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
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
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
        body = b"".join(chunks)
    if len(body) > limit:
        raise _too_large(limit)
    if body:
        check_body_headers(headers)
    return body


def _too_large(limit: int) -> RefusedError:
    return RefusedError(f"the body is larger than {limit} bytes: send it in parts", status=413)

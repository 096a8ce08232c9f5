"""The edge as one FastAPI app: the publishing endpoints, health, and documentation.

`EdgeApp` calls a publishing endpoint directly and leaves every other request to FastAPI. The same endpoints are mounted
there as routes, so FastAPI answers other methods and unknown paths.
"""

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Route

from ingest_api.access.access_control import AccessControl
from ingest_api.access.idempotency import IdempotencyKeyCache
from ingest_api.http.docs_page import add_docs_page
from ingest_api.http.openapi import openapi_schema
from ingest_api.http.publish_endpoint import (
    AsgiScope,
    Decide,
    Message,
    PublishingEndpoint,
    Receive,
    Send,
    internal_error,
)
from ingest_api.http.telemetry import (
    REQUEST_ID_HEADER,
    EndpointTelemetry,
    count_response,
    log_it_as,
    log_refusal,
    request_id_of,
)
from ingest_api.kafka.api_key_feed import ApiKeyFeed
from ingest_api.kafka.publisher import Publisher
from ingest_api.records import Accepted
from ingest_api.settings import Settings
from ingest_api.validation import feedback as feedback_calls
from ingest_api.validation import request_log
from ingest_api.validation.feedback import CallContext
from runtime.api_key_authentication import ApiKeyAuthenticator, Caller
from runtime.api_key_store import ApiKeyStore
from runtime.background_tasks import BackgroundTask
from runtime.closed_server_mark import remember_in
from runtime.garbage_collection import watch_memory
from runtime.http_errors import ApiError, Failure, error_response
from runtime.metrics import REQUESTS_REFUSED
from runtime.metrics_registry import registry_of
from runtime.rate_limit import RateLimits
from runtime.request_origin import refusal
from schemas.api_keys import Scope
from schemas.topics import API_KEYS

_ONE_FEEDBACK = "/v1/feedback/"
_PROBE = "/readyz"
_NO_PAGE = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
"""Headers of a response that a browser may open, so that it is never treated as a page."""
# The address of a signed file holds a key of its own, and any page may link to it.
_SIGNED_FILE = re.compile(r"/v1/logs/exports/[^/]+/file")


class ByMethod:
    """The endpoints of one path, by HTTP method."""

    def __init__(self, **endpoints: PublishingEndpoint) -> None:
        self.by_method = endpoints

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request with one of these methods."""
        await self.by_method[scope["method"]](scope, receive, send)


class EdgeApp(FastAPI):
    """A FastAPI app whose publishing paths are answered before its middleware."""

    publishing: dict[str, ByMethod]
    one_feedback: ByMethod
    registry: CollectorRegistry
    api_keys: ApiKeyStore
    """While it is open, a request that a foreign page may have sent is refused at every route but a signed file."""
    allowed_hosts: frozenset[str]

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        endpoint = self._endpoint(scope["method"], scope["path"])
        refused = self._refusal(scope)
        if refused and endpoint:
            REQUESTS_REFUSED.add(403, refused.reason)
        if refused or endpoint is None:
            await self._pass_on(scope, receive, send, refused)
        else:
            await endpoint(scope, receive, send)

    def _endpoint(self, method: str, path: str) -> PublishingEndpoint | None:
        endpoints = self.publishing.get(path)
        if endpoints is None and path.startswith(_ONE_FEEDBACK) and _id_in(path):
            endpoints = self.one_feedback
        return None if endpoints is None else endpoints.by_method.get(method)

    def _refusal(self, scope: AsgiScope) -> ApiError | None:
        if not self.api_keys.is_open or _SIGNED_FILE.fullmatch(scope["path"]):
            return None
        return refusal(
            scope["headers"],
            scheme=scope["scheme"],
            http_version=scope["http_version"],
            allowed=self.allowed_hosts,
            is_page=scope["method"] == "GET" and not scope["path"].startswith("/v1/"),
        )

    async def _pass_on(self, scope: AsgiScope, receive: Receive, send: Send, refused: ApiError | None = None) -> None:
        """Refuse a request or let FastAPI answer it, add its request id to the response, and count it."""
        began, status = time.perf_counter(), 500
        request_id = request_id_of(dict(scope["headers"]))
        log_it_as(request_id)

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id)]
            await send(message)

        try:
            if refused:
                await error_response(refused)(scope, receive, send_noted)
            else:
                await super().__call__(scope, receive, send_noted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            count_response(scope["method"], route, status, time.perf_counter() - began)
            # A probe is refused every second while Kafka is away; its log lines would hide those of callers.
            if status >= 400 and route != _PROBE:
                log_refusal(scope["method"], route, status, refused.reason if refused else "")


def create_app(settings: Settings, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> EdgeApp:
    """The app; its lifespan connects to Kafka in the background and flushes at the end. `now_ms` is the clock."""
    publisher = Publisher(settings)
    limits = settings.limits
    idempotency_keys = IdempotencyKeyCache(settings.idempotency_entries)
    api_keys = ApiKeyStore(settings.require_keys)
    if settings.closed_mark:
        remember_in(Path(settings.closed_mark), api_keys)
    authenticator = ApiKeyAuthenticator(f"topic {API_KEYS} of Kafka at {settings.kafka_bootstrap}", api_keys)
    rate_limits = RateLimits(settings.rate_limit_per_s)
    feed = ApiKeyFeed(settings.kafka_bootstrap, authenticator, now_ms)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        memory = BackgroundTask("watching memory", watch_memory)
        memory.start()
        publisher.start()
        feed.start()
        yield
        await memory.stop()
        await feed.stop()
        await publisher.stop()

    def fault() -> str:
        """Why nothing can be published now; empty when it can."""
        unknown_keys = authenticator.fault(now_ms())
        return publisher.fault or (unknown_keys and (feed.fault or unknown_keys))

    def call(caller: Caller) -> CallContext:
        return CallContext(caller.workspace, now_ms())

    def claimed(accepted: Accepted) -> Accepted:
        if accepted.claim is not None:
            idempotency_keys.take(accepted.claim)
        return accepted

    def create(_: str, headers: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        return claimed(feedback_calls.create(body, headers, call(caller), limits))

    def update(path: str, _: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        return feedback_calls.update(_id_in(path), body, call(caller), limits)

    def delete(path: str, _: Mapping[bytes, bytes], __: bytes, caller: Caller) -> Accepted:
        return feedback_calls.delete(_id_in(path), call(caller))

    def log(_: str, headers: Mapping[bytes, bytes], body: bytes, caller: Caller) -> Accepted:
        return claimed(request_log.log(body, headers, call(caller), limits))

    def endpoint(
        telemetry: EndpointTelemetry, decide: Decide, message: str, ids: str, scope: Scope = "feedback.write"
    ) -> PublishingEndpoint:
        access_control = AccessControl(authenticator, rate_limits, scope, now_ms, fault)
        return PublishingEndpoint(
            publisher, access_control, settings.max_body_bytes, decide, _reply(message, ids), telemetry
        )

    app = EdgeApp(
        title="Feedback API",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: _refused, Exception: _internal_error},
    )
    app.api_keys = api_keys
    # The name that the edge listens on is allowed as well.
    app.allowed_hosts = frozenset((*settings.allowed_hosts, settings.host.lower()))
    created, logged = (
        EndpointTelemetry("POST", "/v1/feedback", "create"),
        EndpointTelemetry("POST", "/v1/logs", "request"),
    )
    feedback = ByMethod(POST=endpoint(created, create, "Feedback successfully saved", "feedback_ids"))
    logs = ByMethod(POST=endpoint(logged, log, "Logs successfully saved", "ids", "logs.write"))
    app.publishing = {"/v1/feedback": feedback, "/v1/feedback/": feedback, "/v1/logs": logs, "/v1/logs/": logs}
    one = _ONE_FEEDBACK + "{feedback_id}"
    updated, deleted = EndpointTelemetry("PUT", one, "update"), EndpointTelemetry("DELETE", one, "delete")
    app.one_feedback = ByMethod(
        PUT=endpoint(updated, update, "Feedback successfully updated", "feedback_ids"),
        DELETE=endpoint(deleted, delete, "Feedback successfully deleted", "feedback_ids"),
    )
    for path, endpoints in (app.publishing | {one: app.one_feedback}).items():
        app.router.routes.append(Route(path, endpoints, methods=list(endpoints.by_method)))

    @app.get("/healthz", summary="Is the process alive?", tags=["health"])
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(
        _PROBE,
        summary="Can events be published now?",
        tags=["health"],
        responses={503: {"description": "They cannot, and why.", "model": Failure}},
    )
    async def readyz() -> Response:
        if message := fault():
            return error_response(ApiError(message, status=503))
        return JSONResponse({"status": "ok"})

    add_docs_page(app)
    app.registry = registry_of("edge")

    @app.get("/metrics", summary="Numbers for Prometheus", tags=["health"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(app.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    app.openapi = lambda: openapi_schema(app, settings)  # type: ignore[method-assign]
    return app


def _id_in(path: str) -> str:
    """The id in `/v1/feedback/{id}`, with or without a slash at its end; empty if there is more to the path."""
    identity = path[len(_ONE_FEEDBACK) :].removesuffix("/")
    return "" if "/" in identity else identity


def _reply(message: str, ids: str) -> Callable[[Accepted], bytes]:
    opening = orjson.dumps({"status": "success", "message": message})[:-1] + f',"{ids}":'.encode()

    def reply(accepted: Accepted) -> bytes:
        if not accepted.trace_ids:
            return opening + orjson.dumps(accepted.ids) + b"}"
        return opening + orjson.dumps(accepted.ids) + b',"trace_ids":' + orjson.dumps(accepted.trace_ids) + b"}"

    return reply


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is nothing at {request.url.path}: /docs lists what there is",
        405: f"{request.method} is not possible at {request.url.path}",
    }.get(error.status_code, str(error.detail))
    headers = {**(error.headers or {}), **_NO_PAGE}.items()
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    return error_response(ApiError(message, status=error.status_code, headers=encoded))


async def _internal_error(_: Request, __: Exception) -> Response:
    return error_response(internal_error())

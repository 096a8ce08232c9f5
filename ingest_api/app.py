"""Builds the edge as one FastAPI app: the publishing endpoints, health, metrics and documentation."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.exceptions import HTTPException

from ingest_api.access.access_control import AccessControl
from ingest_api.access.vote_access import TOKEN_SCOPE, VoteAccess
from ingest_api.http.body_room import BodyRoom
from ingest_api.http.docs_page import add_docs_page
from ingest_api.http.edge_app import PROBE, EdgeApp, answer_http_error, answer_internal_error
from ingest_api.http.feedback_buttons import add_feedback_buttons
from ingest_api.http.openapi import openapi_schema
from ingest_api.kafka.api_key_feed import ApiKeyFeed
from ingest_api.kafka.publisher import Publisher
from ingest_api.publishing_endpoints import PublishingCalls, add_publishing_endpoints
from ingest_api.settings import Settings
from ingest_api.vote_endpoints import VoteCalls, add_vote_endpoints
from runtime.api_key_authentication import ApiKeyAuthenticator
from runtime.api_key_store import ApiKeyStore
from runtime.background_tasks import BackgroundTask
from runtime.closed_server_mark import remember_in
from runtime.error_response import error_response
from runtime.failure_body import Failure
from runtime.garbage_collection import watch_memory
from runtime.http_errors import ApiError
from runtime.metrics_registry import registry_of
from runtime.rate_limit import RateLimits
from schemas.key_scopes import Scope
from schemas.topics import API_KEYS


def create_app(settings: Settings, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> EdgeApp:
    """The app; its lifespan connects to Kafka in the background and flushes at the end. `now_ms` is the clock."""
    publisher = Publisher(settings)
    api_keys = ApiKeyStore(settings.require_keys)
    if settings.closed_mark:
        remember_in(Path(settings.closed_mark), api_keys)
    authenticator = ApiKeyAuthenticator(f"topic {API_KEYS} of Kafka at {settings.kafka_bootstrap}", api_keys)
    rate_limits = RateLimits(settings.rate_limit_per_s)
    feed = ApiKeyFeed(settings.kafka_bootstrap, authenticator, now_ms)

    def fault() -> str:
        """Why nothing can be published now; empty when it can."""
        unknown_keys = authenticator.fault(now_ms())
        return publisher.fault or (unknown_keys and (feed.fault or unknown_keys))

    def access_control(scope: Scope) -> AccessControl:
        return AccessControl(authenticator, rate_limits, scope, now_ms, fault)

    app = EdgeApp(
        title="Feedback API",
        lifespan=_lifespan(publisher, feed),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={HTTPException: answer_http_error, Exception: answer_internal_error},
    )
    app.api_keys = api_keys
    # The name that the edge listens on is allowed as well.
    app.allowed_hosts = frozenset((*settings.allowed_hosts, settings.host.lower()))
    app.registry = registry_of("edge")
    room = BodyRoom(settings.max_held_body_bytes)
    add_publishing_endpoints(app, settings, publisher, access_control, PublishingCalls(settings, now_ms), room)
    add_vote_endpoints(
        app,
        settings,
        publisher,
        access_control(TOKEN_SCOPE),
        VoteAccess(authenticator, rate_limits, TOKEN_SCOPE, now_ms, fault),
        VoteCalls(settings, now_ms, api_keys),
        room,
    )
    _add_health(app, fault)
    add_docs_page(app)
    add_feedback_buttons(app, frozenset(settings.browser_origins))
    _add_metrics(app)
    app.openapi = lambda: openapi_schema(app, settings)  # type: ignore[method-assign]
    return app


def _lifespan(publisher: Publisher, feed: ApiKeyFeed) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
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

    return lifespan


def _add_health(app: FastAPI, fault: Callable[[], str]) -> None:
    @app.get("/healthz", summary="Is the process alive?", tags=["health"])
    @app.head("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.head(PROBE, include_in_schema=False)
    @app.get(
        PROBE,
        summary="Can events be published now?",
        tags=["health"],
        responses={503: {"description": "They cannot, and why.", "model": Failure}},
    )
    async def readyz() -> Response:
        if message := fault():
            return error_response(ApiError(message, status=503))
        return JSONResponse({"status": "ok"})


def _add_metrics(app: EdgeApp) -> None:
    @app.get("/metrics", summary="Numbers for Prometheus", tags=["health"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(generate_latest(app.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

"""The dashboard as a separate program, for an API at another address.

It stores nothing and has no secret: each call of the API has the key of the viewer. Any number of them may run.
"""

import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import dictConfig
from secrets import token_hex

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from dashboard.settings import DashboardSettings
from runtime.addresses import url_host, without_password
from runtime.http_errors import ApiError
from runtime.http_server import exit_on_signals, serve_http
from runtime.idle_clients import Connections
from runtime.listen_addresses import cannot_listen
from runtime.log_setup import REQUEST_ID, config, log_uncaught_errors
from runtime.metrics import REQUEST_SECONDS
from runtime.metrics_registry import registry_of
from runtime.settings_errors import load_or_print

_MOST_CONNECTIONS = 500
_STOPS_WITHIN_S = 10

log = logging.getLogger("dashboard")


def serve(api: str, host: str, port: int) -> int:
    """Serve until a signal; the exit code, 2 where a setting is faulty or the address is taken."""
    settings = load_or_print(DashboardSettings)
    if settings is None:
        return 2
    if fault := cannot_listen(host, port):
        print(f"--port: {fault}: free it, or give another.", file=sys.stderr)
        return 2
    dictConfig(config(settings.log_format, dashboard=logging.INFO))
    log_uncaught_errors()
    exit_on_signals()
    shown = f"http://{url_host(host)}:{port}"
    log.info("Dashboard at %s, over the API at %s.", shown, without_password(api))
    app = standalone(api, frozenset((*settings.allowed_hosts, host.lower())), settings.public_url)
    connections = Connections(_MOST_CONNECTIONS, settings.receive_timeout_s)
    return serve_http(app, host, port, connections, stop_within_s=_STOPS_WITHIN_S)


def standalone(api: str, own_hosts: frozenset[str], public_url: str = "") -> ASGIApp:
    """The app of the program. `own_hosts` are the host names for calls while the API needs no key."""
    client = ApiClient(api)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        try:
            await client.as_viewer(None).get("/healthz")
        except ApiError as error:
            return JSONResponse({"status": "failure", "message": error.message, "waits_for": "api"}, 503)
        return JSONResponse({"status": "ok"})

    registry = registry_of("dashboard")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await client.close()

    pages = dashboard_routes(client, public_url.rstrip("/") or without_password(api).rstrip("/"), own_hosts)
    probes = [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    app = Starlette(routes=[*probes, *pages], lifespan=lifespan)
    # A redirect from a path with a slash at its end would lead to whatever the Host header names.
    app.router.redirect_slashes = False
    return _Telemetry(app, [*probes, *pages])


class _Telemetry:
    """Gives each request an id, with which a failed page is found in the log, and counts it."""

    def __init__(self, app: ASGIApp, routes: list[BaseRoute]) -> None:
        self._app = app
        self._templates = {id(each.endpoint): each.path for each in routes if isinstance(each, Route)}
        self._templates |= {id(each.app): "/static" for each in routes if isinstance(each, Mount)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        REQUEST_ID.set(token_hex(8))
        began, status = time.perf_counter(), 500

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_recorded)
        finally:
            route = self._templates.get(id(scope.get("endpoint")), "other")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
            REQUEST_SECONDS.observe(time.perf_counter() - began, method, route, status)

"""The dashboard as a separate program, for an API at another address.

It stores nothing and has no secret: each call of the API has the key of the viewer. Any number of them may run.
"""

import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from logging.config import dictConfig
from secrets import token_hex

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.api_client import ApiClient
from dashboard.app import dashboard_routes
from dashboard.settings import DashboardSettings
from runtime.addresses import without_password
from runtime.background_tasks import exit_code
from runtime.http_errors import ApiError
from runtime.listen_addresses import cannot_listen
from runtime.log_setup import REQUEST_ID, config, log_what_nobody_catches
from runtime.request_head_limits import LimitedHeadProtocol
from runtime.settings_errors import load_or_print

_MOST_AT_ONCE = 500
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
    log_what_nobody_catches()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit(exit_code()))
    shown = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("Dashboard at %s, over the API at %s.", shown, without_password(api))
    uvicorn.Server(
        uvicorn.Config(
            standalone(api, frozenset((*settings.allowed_hosts, host.lower())), settings.public_url),
            host=host,
            port=port,
            loop="uvloop",
            http=LimitedHeadProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MOST_AT_ONCE,
            timeout_graceful_shutdown=_STOPS_WITHIN_S,
        )
    ).run()
    return exit_code()


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

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await client.close()

    pages = dashboard_routes(client, public_url.rstrip("/") or without_password(api).rstrip("/"), own_hosts)
    app = Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), *pages], lifespan=lifespan)
    return _WithRequestIds(app)


class _WithRequestIds:
    """Gives each request an id, with which a failed page is found in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        REQUEST_ID.set(token_hex(8))
        await self._app(scope, receive, send)

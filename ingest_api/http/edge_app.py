"""The app of the edge: it calls a publishing endpoint directly, and leaves every other request to FastAPI.

The publishing endpoints are mounted in FastAPI as routes too, so FastAPI answers other methods and unknown paths.
"""

import re
import time

from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.routing import Match

from ingest_api.http.publish_endpoint import AsgiApp, AsgiScope, Message, Receive, Send, internal_error
from ingest_api.http.telemetry import (
    REQUEST_ID_HEADER,
    count_response,
    log_refusal,
    log_under_request_id,
    request_id_of,
)
from runtime.api_key_store import ApiKeyStore
from runtime.error_response import error_response
from runtime.http_errors import ApiError
from runtime.metrics import REQUESTS_REFUSED
from runtime.request_origin import refusal

ONE_FEEDBACK = "/v1/feedback/"
PROBE = "/readyz"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_NO_PAGE = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}
"""Headers of a response that a browser may open, so that it is never treated as a page."""
# The address of a signed file holds a key of its own, and any page may link to it.
_SIGNED_FILE = re.compile(r"/v1/logs/exports/[^/]+/file")


class ByMethod:
    """The endpoints of one path, by HTTP method."""

    def __init__(self, **endpoints: AsgiApp) -> None:
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

    def _endpoint(self, method: str, path: str) -> AsgiApp | None:
        endpoints = self.publishing.get(path)
        if endpoints is None and path.startswith(ONE_FEEDBACK) and id_in(path):
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
        log_under_request_id(request_id)

        async def send_recorded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id)]
            await send(message)

        try:
            if refused:
                await error_response(refused)(scope, receive, send_recorded)
            else:
                await super().__call__(scope, receive, send_recorded)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            count_response(scope["method"], route, status, time.perf_counter() - began)
            # A probe is refused every second while Kafka is away; its log lines would hide those of callers.
            if status >= 400 and route != PROBE:
                log_refusal(scope["method"], route, status, refused.reason if refused else "")


def id_in(path: str) -> str:
    """The id in `/v1/feedback/{id}`, with or without a slash at its end; empty if there is more to the path."""
    identity = path[len(ONE_FEEDBACK) :].removesuffix("/")
    return "" if "/" in identity else identity


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The response to an unknown path or method."""
    assert isinstance(error, HTTPException)
    message = {
        404: f"there is nothing at {request.url.path}: /docs lists what there is",
        405: f"{request.method} is not possible at {request.url.path}",
    }.get(error.status_code, str(error.detail))
    allowed = {"Allow": ", ".join(_methods_of(request))} if error.status_code == 405 else {}
    headers = {**(error.headers or {}), **_NO_PAGE, **allowed}.items()
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    return error_response(ApiError(message, status=error.status_code, headers=encoded))


def _methods_of(request: Request) -> list[str]:
    """The methods that a path has. One path may have several routes, of which the framework would name the first."""
    routes = request.app.router.routes
    asked = {each: {**request.scope, "method": each} for each in _METHODS}
    return [each for each in _METHODS if any(route.matches(asked[each])[0] is Match.FULL for route in routes)]


async def answer_internal_error(_: Request, __: Exception) -> Response:
    """The response where a route has failed."""
    return error_response(internal_error())

"""Who asks: the workspace whose data an answer may hold, and what the caller's key allows there."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request

from query_api.api_key_feed import now_ms
from query_api.errors import example
from query_api.read_rate_limits import count_question
from runtime.api_key_authentication import ApiKeyAuthenticator, Caller
from runtime.http_errors import ApiError
from runtime.request_headers import KEY_HEADER, headers_of
from schemas.key_scopes import Scope

__all__ = [
    "REFUSALS",
    "AdminCaller",
    "AnalyticsReader",
    "AnyCaller",
    "Caller",
    "FeedbackReader",
    "LogsReader",
    "install_auth",
    "require_scope",
]

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "Two different API keys came with the call.",
        **example(400, "x-portkey-api-key and Authorization hold different API keys", KEY_HEADER.decode()),
    },
    401: {
        "description": "No valid API key came with the call.",
        **example(401, "an API key is needed", KEY_HEADER.decode()),
    },
    403: {
        "description": "The key lacks the scope, or another workspace is named than the key's. Or: there is no API"
        " key yet, and a web page of another origin may have sent the call.",
        **example(403, "the API key … lacks the scope feedback.read", KEY_HEADER.decode()),
    },
    429: {
        "description": "More questions than the key allows.",
        **example(429, "this key's limit of 500 questions a second is used up: wait 1 s"),
    },
}
"""The OpenAPI responses of every route that asks who calls."""


def install_auth(app: FastAPI, authenticator: ApiKeyAuthenticator) -> None:
    """Have the app authenticate its callers with this authenticator."""
    app.state.authenticator = authenticator


def _caller_with(scope: Scope | None) -> Callable[[Request], Awaitable[Caller]]:
    async def caller(request: Request) -> Caller:
        authenticator: ApiKeyAuthenticator = request.app.state.authenticator
        at_ms = now_ms()
        found = authenticator.authenticate(headers_of(request.scope["headers"]), scope, at_ms)
        count_question(request, found, at_ms)
        return found

    return caller


def require_scope(caller: Caller, scope: Scope, what: str) -> None:
    """Refuse `what` with an ApiError 403 unless the caller's key has this scope besides that of the route."""
    if scope not in caller.scopes:
        raise ApiError(
            f"the API key {caller.key_id} lacks the scope {scope}, which {what} need as well: it has"
            f" {', '.join(sorted(caller.scopes))}",
            KEY_HEADER.decode(),
            403,
        )


FeedbackReader = Annotated[Caller, Depends(_caller_with("feedback.read"))]
"""A caller who may read feedback (scope feedback.read)."""

LogsReader = Annotated[Caller, Depends(_caller_with("logs.read"))]
"""A caller who may read request logs (scope logs.read)."""

AnalyticsReader = Annotated[Caller, Depends(_caller_with("analytics.read"))]
"""A caller who may read analytics (scope analytics.read)."""

AdminCaller = Annotated[Caller, Depends(_caller_with("admin"))]
"""A caller who may do everything in the workspace (scope admin)."""

AnyCaller = Annotated[Caller, Depends(_caller_with(None))]
"""A caller with any valid key, or anybody while the server is open."""

"""The read limit of each key, in calls a second: a call beyond it is refused with 429; headers report what is left."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request

from runtime.api_key_authentication import Caller
from runtime.rate_limit import RateLimits

Message = MutableMapping[str, Any]
_BUCKET = "rate_limit_bucket"


def limit_reads(app: FastAPI, per_s: int) -> None:
    """Limit what the app's callers ask. `per_s` is for keys without a limit of their own; 0: they have none."""
    app.state.read_limits = RateLimits(per_s, "questions")
    app.add_middleware(_Telling)


def count_question(request: Request, caller: Caller, now_ms: int) -> None:
    """Count the call at hand, however often its caller is asked for; ApiError 429 where it is one too many."""
    bucket = request.app.state.read_limits.bucket(caller, now_ms)
    if bucket is None or getattr(request.state, _BUCKET, None) is bucket:
        return
    setattr(request.state, _BUCKET, bucket)
    bucket.admit(now_ms)


class _Telling:
    """Puts what is left of the limit into the headers of every answer to a limited key, as ASGI."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        async def send_with_limits(message: Message) -> None:
            bucket = scope.get("state", {}).get(_BUCKET)
            if bucket is not None and message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *bucket.headers()]
            await send(message)

        await self._app(scope, receive, send_with_limits)

"""Lets web pages of origins that a setting names call one route and load one file, and keeps all others out.

A browser asks before it sends what a foreign page wants to send (CORS preflight). A page of an origin that is not named
is answered 403 either way, so nothing is stored even for a browser that does not ask. No cookie and no stored password
goes along (there is no `access-control-allow-credentials`): a page has nothing but the vote token that it was given.
"""

from collections.abc import Collection, Sequence

from ingest_api.http.publish_endpoint import AsgiApp, AsgiScope, Headers, Message, Receive, Send
from ingest_api.http.telemetry import REQUEST_ID_HEADER, count_response, log_refusal, request_id_of
from runtime.http_errors import ApiError, error_body
from runtime.metrics import REQUESTS_REFUSED
from runtime.request_origin import Origin, parsed_origin

_VARY = (b"vary", b"origin")
_SHOWN = b"retry-after, x-request-id, ratelimit-limit, ratelimit-remaining, ratelimit-reset"
_HEADERS = b"authorization, content-type, x-feedback-vote, x-portkey-api-key, x-request-id"
_REMEMBERED_S = b"7200"
_PREFLIGHT, _ASKED_METHOD = "OPTIONS", b"access-control-request-method"


class CrossOrigin:
    """One route, open to pages of these origins. `methods` are those a page may use, and `app` answers them."""

    def __init__(self, app: AsgiApp, path: str, methods: Sequence[str], origins: Collection[Origin]) -> None:
        self._app, self._path, self._origins = app, path, frozenset(origins)
        self._methods = ", ".join(methods).encode()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a preflight, refuse a foreign page, or pass the request on and let the page read the answer."""
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        is_named = origin is not None and parsed_origin(origin) in self._origins
        shared = [_VARY, *_readable_by(origin if is_named else None)]
        if origin is not None and not is_named and headers.get(b"sec-fetch-site") != b"same-origin":
            await self._refuse(scope, send, _foreign(origin), [_VARY])
        elif scope["method"] == _PREFLIGHT and _ASKED_METHOD not in headers:
            error = ApiError(f"{_PREFLIGHT} is not possible at {self._path}", status=405)
            await self._refuse(scope, send, error, [*shared, (b"allow", self._methods)])
        elif scope["method"] == _PREFLIGHT:
            allowed = [
                (b"access-control-allow-methods", self._methods),
                (b"access-control-allow-headers", _HEADERS),
                (b"access-control-max-age", _REMEMBERED_S),
            ]
            await self._answer(scope, send, 204, [*shared, *(allowed if is_named else [])], b"")
        else:

            async def send_readable(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = [*message["headers"], *shared]
                await send(message)

            # Without extensions: a full response would pass by the headers that are added here.
            await self._app({**scope, "extensions": {}}, receive, send_readable)

    async def _refuse(self, scope: AsgiScope, send: Send, error: ApiError, headers: Headers) -> None:
        if error.reason:
            REQUESTS_REFUSED.add(error.status, error.reason)
        log_refusal(scope["method"], self._path, error.status, error.reason)
        content = [(b"content-type", b"application/json")]
        await self._answer(scope, send, error.status, [*headers, *content], error_body(error))

    async def _answer(self, scope: AsgiScope, send: Send, status: int, headers: Headers, body: bytes) -> None:
        length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
        head = [*headers, *length, (REQUEST_ID_HEADER, request_id_of(dict(scope["headers"])))]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
        count_response(scope["method"], self._path, status, 0)


def _foreign(origin: bytes) -> ApiError:
    return ApiError(
        f"web pages of {_shown(origin)} may not call this route: name the origin in FEEDBACK_BROWSER_ORIGINS",
        "Origin",
        403,
        reason="cross_site",
    )


def _readable_by(origin: bytes | None) -> Headers:
    """The headers that let pages of this origin read the answer."""
    if origin is None:
        return []
    return [(b"access-control-allow-origin", origin), (b"access-control-expose-headers", _SHOWN)]


def _shown(origin: bytes) -> str:
    text = origin.decode("latin-1")
    return repr(text if len(text) <= 100 else text[:99] + "…")

"""What all pages of the dashboard share: the viewer, the frame, security headers, and error pages."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard import session
from dashboard.api_client import ApiClient, ViewerApi
from dashboard.own_path import own_path
from dashboard.page_query import PageQuery
from dashboard.rendering import environment
from runtime.client_left import result_unless_gone, until_gone
from runtime.http_errors import ApiError
from runtime.log_setup import REQUEST_ID
from runtime.request_origin import refusal

log = logging.getLogger(__name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
LIST = "section#rows"
"""The element that asks, as htmx reports it, when a list refreshes."""
_OUTAGE = "outage"
_INTO_FORM = {
    "hx-retarget": "closest form",
    "hx-reselect": ".refused",
    "hx-reswap": "beforeend show:none",
    "hx-push-url": "false",
}
_CLIENT_LEFT = 499
_PART = re.compile(r"[a-z]+#([a-z-]{1,40})")
_MOST_FORM_BYTES = 200_000
# Each filter has a link with all the others, so the size of a page grows with the square of their number.
_MOST_PARAMETERS = 100
_TITLES = {
    403: "Not allowed", 404: "Not found", 429: "Too many questions", 500: "Something broke",
    503: "Not available right now", 507: "No room",
}  # fmt: skip


@dataclass(frozen=True)
class Viewer:
    """The viewer of a page."""

    api: ViewerApi
    workspace: str
    scopes: frozenset[str]
    is_signed_in: bool

    def may(self, scope: str) -> bool:
        """Whether the viewer's key has this scope."""
        return scope in self.scopes


Handler = Callable[[Request, Viewer], Awaitable[Response]]


class Pages:
    """Turns handlers into routes. `address` is the address of the API for callers, for examples to copy.

    `own_hosts` as in `dashboard_routes`.
    """

    def __init__(self, api: ApiClient, address: str, own_hosts: frozenset[str] | None = None) -> None:
        self.api, self.address, self._own_hosts = api, address, own_hosts
        self._templates = environment()

    def get(self, path: str, handler: Handler) -> Route:
        """The route of a page."""
        return Route(path, self._endpoint(path, handler), methods=["GET"])

    def post(self, path: str, handler: Handler) -> Route:
        """The route of a form that changes something. It is refused if another site may have sent it."""
        return Route(path, self._endpoint(path, handler), methods=["POST"])

    def render(
        self, request: Request, viewer: Viewer | None, template: str, /, status: int = 200, **context: Any
    ) -> HTMLResponse:
        """A page with its frame."""
        query = query_of(request)
        text = self._templates.get_template(template).render(
            viewer=viewer, path=request.url.path, query=query, address=self.address, **context
        )
        return HTMLResponse(text, status, headers=SECURITY_HEADERS)

    async def viewer(self, request: Request) -> Viewer:
        """The viewer of a request. ApiError 401 if they must sign in."""
        key = session.key_of(request)
        api = self.api.as_viewer(key)
        caller = await api.get("/v1/caller")
        return Viewer(api, caller["workspace"], frozenset(caller["scopes"]), caller["key_id"] is not None)

    def _endpoint(self, path: str, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if request.method != "GET":
                return await self._answer(request, path, handler)
            return await _unless_gone(request, self._answer(request, path, handler))

        return endpoint

    async def _answer(self, request: Request, path: str, handler: Handler) -> Response:
        """The page, the page to sign in, or an error page."""
        # Calls of the API in this process set other request ids.
        request_id = REQUEST_ID.get()
        viewer = None
        try:
            _require_own_request(request)
            viewer = await self.viewer(request)
            if not viewer.is_signed_in and (refused := self._foreign(request)):
                return self._error_page(request, None, refused)
            return await handler(request, viewer)
        except ApiError as error:
            if error.status == 401:
                return await self._to_sign_in(request)
            return self._error_page(request, viewer, error)
        except Exception:
            REQUEST_ID.set(request_id)
            log.exception("The page %s failed.", path)
            message = f"This page failed. Whoever runs the server finds the reason in its log, by the id {request_id}"
            return self._error_page(request, viewer, ApiError(message, status=500))

    def _foreign(self, request: Request) -> ApiError | None:
        """The error for a request without a key that another site may have sent; None for any other."""
        if self._own_hosts is None:
            return None
        return refusal(
            request.scope["headers"],
            scheme=request.scope["scheme"],
            http_version=request.scope["http_version"],
            allowed=self._own_hosts,
            is_page=request.method == "GET",
        )

    async def _to_sign_in(self, request: Request) -> Response:
        """Send the viewer to the page to sign in; or, if the API needs no key, back to the page without their key."""
        back = _page_of(request)
        is_needless = session.key_of(request) is not None and await self._needs_no_key()
        location = back if is_needless else f"/sign-in?next={quote(back, safe='')}"
        answer: Response
        if _keeps_form(request) and not is_needless:
            error = ApiError("your key is no longer valid: sign in in another tab, then send this again", status=401)
            return self._refused(request, error, sign_in=location)
        if request.headers.get("hx-request"):
            answer = Response(status_code=204, headers=SECURITY_HEADERS | {"hx-redirect": location})
        else:
            answer = RedirectResponse(location, 303, headers=SECURITY_HEADERS)
        if is_needless:
            session.sign_out(answer)
        return answer

    async def _needs_no_key(self) -> bool:
        try:
            await self.api.as_viewer(None).get("/v1/caller")
        except ApiError:
            return False
        return True

    def _refused(self, request: Request, error: ApiError, sign_in: str = "") -> Response:
        """What a form says of itself, under which all stays that was typed."""
        answer = self.render(request, None, "refused.html", error.status, error=error, sign_in=sign_in)
        answer.headers.update(_INTO_FORM)
        return answer

    def _error_page(self, request: Request, viewer: Viewer | None, error: ApiError) -> Response:
        if _keeps_form(request):
            return self._refused(request, error)
        # A list that refreshes keeps its rows; the error is shown above it.
        is_poll = request.headers.get("hx-source") == LIST
        part = _OUTAGE if is_poll else _part_of(request)
        answer = self.render(
            request,
            viewer,
            "part_problem.html" if part else "error.html",
            error.status,
            title=_TITLES.get(error.status, "That did not work"),
            error=error,
            part=part,
            is_retried=error.status == 503 and request.method == "GET" and not is_poll,
        )
        if is_poll:
            answer.headers.update(
                {"hx-retarget": f"#{_OUTAGE}", "hx-reselect": f"#{_OUTAGE}", "hx-reswap": "outerHTML"}
            )
        return answer


def _require_own_request(request: Request) -> None:
    """ApiError for a request that no page of the dashboard sends."""
    if len(request.query_params.multi_items()) > _MOST_PARAMETERS:
        raise ApiError(f"the address has more than {_MOST_PARAMETERS} parameters: ask for fewer filters at a time")
    if request.method == "POST" and not session.is_own_page(request):
        raise ApiError("this form was sent by a page of another site", status=403)


def _keeps_form(request: Request) -> bool:
    """Whether a script has sent a form, which can stay where it is."""
    return request.method == "POST" and "hx-request" in request.headers


def _part_of(request: Request) -> str:
    """The id of the part of a page that a script asks for; empty for a whole page."""
    target = _PART.fullmatch(request.headers.get("hx-target", ""))
    return target[1] if target and target[1] != "page" else ""


def _page_of(request: Request) -> str:
    """The address of the page that is asked for; of a part or a form, that of the page which shows it."""
    asked = own_path(_address(request.url)) if request.method == "GET" else "/logs"
    if request.method == "GET" and not _part_of(request):
        return asked
    shown = request.headers.get("hx-current-url") or request.headers.get("referer", "")
    try:
        return own_path(_address(urlsplit(shown)), asked)
    except ValueError:
        return asked


def _address(url: SplitResult | URL) -> str:
    """Path and query."""
    return url.path + (f"?{url.query}" if url.query else "")


def query_of(request: Request) -> PageQuery:
    """The query of a page."""
    return PageQuery.of(request.query_params.multi_items())


async def form_of(request: Request, most_bytes: int = _MOST_FORM_BYTES) -> dict[str, str]:
    """The fields of a form, the last value of each. ApiError 400 if it is too large."""
    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > most_bytes:
        raise ApiError(f"the form has more than {most_bytes:,} bytes")
    body = (await request.body()).decode(errors="replace")
    return dict(parse_qsl(body, keep_blank_values=True))


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, Response]) -> Response:
    """The answer, or none if the viewer has left: what is asked for a page that nobody sees is asked no longer."""
    gone = asyncio.ensure_future(until_gone(request.receive))
    try:
        return await result_unless_gone(gone, answer) or Response(status_code=_CLIENT_LEFT)
    finally:
        gone.cancel()

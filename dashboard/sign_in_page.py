"""The pages to sign in with an API key, and to sign out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dashboard import session
from dashboard.own_path import own_path
from dashboard.pages import SECURITY_HEADERS, Pages, form_of
from runtime.http_errors import ApiError

# A key and the address of a page, of which a form may write each character as three. Anybody may send this form.
_MOST_FORM_BYTES = 60_000


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes. They need no viewer."""

    async def show(request: Request) -> Response:
        where = own_path(request.query_params.get("next"))
        return pages.render(request, None, "sign_in.html", error=await ended(request), next=where)

    async def ended(request: Request) -> ApiError | None:
        """Why the session of whoever has to sign in has ended; None if they had none, or have it still."""
        if (key := session.key_of(request)) is None:
            return None
        try:
            await pages.api.as_viewer(key).get("/v1/caller")
        except ApiError as error:
            return error if error.status == 401 else None
        return None

    async def sign_in(request: Request) -> Response:
        if not session.is_own_page(request):
            error = ApiError("this form was sent by a page of another site", status=403)
            return pages.render(request, None, "sign_in.html", 403, error=error, next="/logs")
        where = "/logs"
        try:
            form = await form_of(request, _MOST_FORM_BYTES)
            key, where = form.get("key", "").strip(), own_path(form.get("next"))
            if not session.could_be_key(key):
                raise ApiError("this is not an API key of this server, whose keys begin with fbk_", status=401)
            await pages.api.as_viewer(key).get("/v1/caller")
        except ApiError as error:
            return pages.render(request, None, "sign_in.html", error.status, error=error, next=where)
        answer = RedirectResponse(where, 303, headers=SECURITY_HEADERS)
        session.sign_in(request, answer, key)
        return answer

    async def sign_out(request: Request) -> Response:
        answer = RedirectResponse("/sign-in", 303, headers=SECURITY_HEADERS)
        if session.is_own_page(request):
            session.sign_out(answer)
        return answer

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    ]

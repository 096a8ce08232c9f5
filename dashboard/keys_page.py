"""`/keys`: lists, makes and revokes the API keys of the workspace, for admins.

The text of a new key is shown once, in the answer to the form that made it. That answer has the address of the list, so
a reload shows the list without the text. If the key closes an open server, the viewer is signed in with it, and is not
locked out.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from dashboard import session
from dashboard.api_client import in_path
from dashboard.pages import SECURITY_HEADERS, Pages, Viewer, form_of
from runtime.http_errors import ApiError

_PATH = "/keys"
_SCOPE = "scope."
_SCOPES = {
    "feedback.write": "give, change and delete feedback",
    "feedback.read": "read feedback",
    "logs.write": "log requests",
    "logs.read": "read requests and export them",
    "analytics.read": "read numbers",
    "feedback.token": "make tokens to vote with",
    "admin": "everything, this page as well",
}
_LIMITS = ("rate_limit_per_s", "read_rate_limit_per_s")


def routes(pages: Pages) -> list[BaseRoute]:
    """The routes."""

    async def show(request: Request, viewer: Viewer) -> Response:
        return await _list(request, viewer)

    async def create(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        try:
            made = await viewer.api.send("POST", "/v1/admin/keys", _order(form))
        except ApiError as error:
            if error.status != 400:
                raise
            return await _list(request, viewer, form=form, problem=error)
        if not made["closed_the_server"]:
            return await _list(request, viewer, made=made)
        # The API is not asked about the key: another process of it may not know the key yet.
        signed_in = Viewer(pages.api.as_viewer(made["key"]), viewer.workspace, viewer.scopes, is_signed_in=True)
        answer = await _list(request, signed_in, made=made)
        session.sign_in(request, answer, made["key"])
        return answer

    async def revoke(request: Request, viewer: Viewer) -> Response:
        form = await form_of(request)
        await viewer.api.send("DELETE", f"/v1/admin/keys/{in_path(form.get('key_id', ''))}")
        return RedirectResponse(_PATH, 303, headers=SECURITY_HEADERS)

    async def _list(
        request: Request,
        viewer: Viewer,
        *,
        made: dict[str, Any] | None = None,
        form: dict[str, str] | None = None,
        problem: ApiError | None = None,
    ) -> Response:
        try:
            keys = (await viewer.api.get("/v1/admin/keys"))["data"]
        except ApiError:
            if made is None:
                raise
            # The new key is shown even if this fails, because nobody can ask for it again.
            keys = [made]
        return pages.render(
            request,
            viewer,
            "keys.html",
            status=problem.status if problem else 200,
            keys=keys,
            scopes=_SCOPES,
            made=made,
            form=form or {},
            problem=problem,
        )

    return [pages.get(_PATH, show), pages.post(_PATH, create), pages.post(f"{_PATH}/revoke", revoke)]


def _order(form: dict[str, str]) -> dict[str, Any]:
    """The body of the API call for a form. ApiError 400 if a limit is no number."""
    order: dict[str, Any] = {
        "scopes": [name.removeprefix(_SCOPE) for name in form if name.startswith(_SCOPE)],
        "name": form.get("name", "").strip(),
        "expires": form.get("expires", "").strip() or None,
    }
    if not order["scopes"]:
        raise ApiError("choose at least one scope", "scopes")
    for name in _LIMITS:
        text = form.get(name, "").strip() or "0"
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ApiError("a limit is a whole number a second", name)
        order[name] = int(text)
    return order

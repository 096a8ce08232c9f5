"""The session of a viewer: the API key in a cookie, which no script can read and no other site can send.

The cookie is the key itself. So a session ends when the key is revoked, and all processes accept it without sharing
anything. A cookie without the key would have to be signed with a secret, whose holder could make sessions for any key.
"""

from starlette.requests import Request
from starlette.responses import Response

from runtime.request_headers import SESSION_COOKIE

_LONGEST_KEY = 200


def key_of(request: Request) -> str | None:
    """The API key of the viewer; None if they have not signed in."""
    key = request.cookies.get(SESSION_COOKIE, "")
    return key if could_be_key(key) else None


def could_be_key(text: str) -> bool:
    """Whether a text is valid in a header and not longer than a key."""
    return 0 < len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable()


def sign_in(request: Request, response: Response, key: str) -> None:
    """Set the cookie with this key, until the browser is closed."""
    response.set_cookie(SESSION_COOKIE, key, httponly=True, samesite="lax", secure=_is_https(request), path="/")


def sign_out(response: Response) -> None:
    """Delete the cookie."""
    response.delete_cookie(SESSION_COOKIE, path="/")


def is_own_page(request: Request) -> bool:
    """Whether a request comes from a page of this server, according to the headers of the browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers that do not know Sec-Fetch-Site send Origin with each POST. The scheme may differ behind a proxy.
    origin = request.headers.get("origin", "")
    return origin.partition("://")[2] == request.headers.get("host", "") != ""


def _is_https(request: Request) -> bool:
    # A proxy sets this header. A caller who fakes it only prevents their own sign-in.
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"

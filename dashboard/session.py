"""Who looks at the dashboard: the API key in a cookie, which no script can read and no other site can send.

The cookie is the key itself, so a session ends with the key, wherever it is revoked, and any number of processes know
it without sharing anything. A cookie that held less would have to be signed with a secret, and whoever has that secret
could make sessions for keys that are not his.
"""

from starlette.requests import Request
from starlette.responses import Response

COOKIE = "feedback_key"
_LONGEST_KEY = 200


def key_of(request: Request) -> str | None:
    """The viewer's API key; None for one who has not signed in."""
    key = request.cookies.get(COOKIE, "")
    return key if could_be_key(key) else None


def could_be_key(text: str) -> bool:
    """Whether a text can stand in a header and is no longer than a key may be."""
    return 0 < len(text) <= _LONGEST_KEY and text.isascii() and text.isprintable()


def sign_in(request: Request, response: Response, key: str) -> None:
    """Have the browser send this key until it is closed."""
    response.set_cookie(COOKIE, key, httponly=True, samesite="lax", secure=_is_https(request), path="/")


def sign_out(response: Response) -> None:
    """Have the browser forget the key."""
    response.delete_cookie(COOKIE, path="/")


def is_own_page(request: Request) -> bool:
    """Whether a request that changes something comes from a page of this server, as browsers tell it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers that do not know Sec-Fetch-Site send Origin with each POST. The scheme may differ behind a proxy.
    origin = request.headers.get("origin", "")
    return origin.partition("://")[2] == request.headers.get("host", "") != ""


def _is_https(request: Request) -> bool:
    # A proxy in front tells it. Whoever sends this header falsely only keeps himself from being signed in.
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"

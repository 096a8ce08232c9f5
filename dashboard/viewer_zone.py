"""The time zone of whoever looks, which the browser tells in a cookie: days on charts begin by its clocks."""

from urllib.parse import unquote
from zoneinfo import ZoneInfo

from starlette.requests import Request

COOKIE = "feedback_zone"
_LONGEST_NAME = 64
UTC = "UTC"


def zone_of(request: Request) -> str:
    """An IANA name; UTC where the browser has told none that there is."""
    name = unquote(request.cookies.get(COOKIE, ""))
    if not 0 < len(name) <= _LONGEST_NAME:
        return UTC
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        return UTC

"""The time zone of the viewer, which the browser sends in a cookie. Days on charts begin in this zone."""

from urllib.parse import unquote
from zoneinfo import ZoneInfo

from starlette.requests import Request

COOKIE = "feedback_zone"
_LONGEST_NAME = 64
UTC = "UTC"


def zone_of(request: Request) -> str:
    """The IANA name of the zone; UTC if the browser has sent no valid one."""
    name = unquote(request.cookies.get(COOKIE, ""))
    if not 0 < len(name) <= _LONGEST_NAME:
        return UTC
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, KeyError):
        return UTC

"""The refusal of HTTP requests that a web page of another origin may have sent, while callers need no secret.

Pure. A browser sends the requests of any page, also to this machine and to the network behind a firewall. It reveals
the page in Origin, in Sec-Fetch-Site, and in Host: after DNS rebinding, Host is the name of the foreign page. So a Host
is accepted only if no foreign page can have it: localhost, a name that the operator lists, or an IP address. An address
is safe, because the browser connects to that very address, so a page with that origin came from this server. Other
headers, such as X-Forwarded-Host, are ignored. Programs that are no browsers can send any headers; API keys and
passwords keep them out.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

from runtime.comma_lists import parts_of
from runtime.http_errors import ApiError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{0,5}))?")
_ORIGIN = re.compile(rf"(?P<scheme>https?)://{_HOST.pattern}")
_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")
_LONGEST_HOST = 300
_PORTS = {"http": 80, "https": 443}
_OWN_PAGES = (b"none", b"same-origin")
_LINK = {b"sec-fetch-mode": b"navigate", b"sec-fetch-dest": b"document"}

Origin = tuple[str, str, int]
"""Scheme, name and port."""


def host_names(text: str) -> tuple[str, ...]:
    """The host names of a comma-separated list, in lower case. ValueError where one is not valid."""
    names = tuple(each.lower().removesuffix(".") for each in parts_of(text))
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError(
            "must be host names with commas between them, without scheme or port, as in feedback.example.com"
        )
    return names


def origins_in(text: str) -> tuple[Origin, ...]:
    """The origins of a comma-separated list. ValueError where one is not valid."""
    found = tuple(parsed_origin(each.encode()) for each in parts_of(text))
    origins = tuple(each for each in found if each is not None)
    if len(origins) < len(found):
        raise ValueError(
            "must be origins with commas between them, each a scheme, a host and perhaps a port, without a path, as in"
            " https://app.example.com"
        )
    return origins


def refusal(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    scheme: str,
    http_version: str,
    allowed: frozenset[str],
    is_page: bool = False,
) -> ApiError | None:
    """The error for a request that a foreign page may have sent; None for any other. Header names are in lower case.

    `allowed` are host names of this server beside localhost, in lower case. A page (`is_page`) may be opened by a link
    on any site: the browser then shows it in place of the other page, which learns nothing of it.
    """
    hosts, origins, sites, fetched = [], [], [], {}
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"origin":
            origins.append(value)
        elif name == b"sec-fetch-site":
            sites.append(value)
        elif name in _LINK:
            fetched[name] = value
    # A request without Host comes from no browser: browsers send HTTP/1.1, which requires it.
    own: frozenset[Origin] | None = frozenset()
    if hosts or http_version != "1.0":
        short = len(hosts) == 1 and len(hosts[0]) <= _LONGEST_HOST
        own = _own_origins(hosts[0], scheme, allowed) if short else None
    if own is None:
        return _unknown_host(hosts)
    for origin in origins:
        if parsed_origin(origin) not in own:
            return _foreign(b"Origin: " + origin)
    is_link = is_page and not origins and fetched == _LINK
    for site in sites:
        if site not in _OWN_PAGES and not is_link:
            return _foreign(b"Sec-Fetch-Site: " + site)
    return None


@lru_cache(maxsize=256)
def _own_origins(host: bytes, scheme: str, allowed: frozenset[str]) -> frozenset[Origin] | None:
    """The origins of the pages that this server serves under this Host; None where the name is not its own."""
    found = _HOST.fullmatch(host.decode("latin-1").strip(" \t").lower())
    if found is None:
        return None
    name = found["name"].removesuffix(".")
    # A proxy in front of the server may terminate TLS for a name that the operator lists.
    schemes = tuple(_PORTS) if name in allowed else (scheme,)
    if name not in allowed and name != "localhost" and not _is_address(name):
        return None
    return frozenset((each, found["name"], int(found["port"] or _PORTS[each])) for each in schemes)


def parsed_origin(origin: bytes) -> Origin | None:
    """The origin in an Origin header; None where it is none of http or https, as that of a local file."""
    found = _ORIGIN.fullmatch(origin.decode("latin-1").lower())
    return found and (found["scheme"], found["name"], int(found["port"] or _PORTS[found["scheme"]]))


def _is_address(name: str) -> bool:
    try:
        return ip_address(name.strip("[]")).version == (6 if name.startswith("[") else 4)
    except ValueError:
        return False


def _unknown_host(hosts: list[bytes]) -> ApiError:
    given = " and ".join(_shown(host) for host in hosts) or "missing"
    return ApiError(
        f"the Host header is {given}, which is not a name of this server: call it by localhost or by an address, or add"
        " its name to FEEDBACK_ALLOWED_HOSTS",
        status=403,
        reason="unknown_host",
    )


def _foreign(header: bytes) -> ApiError:
    return ApiError(
        f"the request comes from a web page of another origin ({_shown(header)}): call this server from a program,"
        " or enter its address in the browser",
        status=403,
        reason="cross_site",
    )


def _shown(value: bytes) -> str:
    text = value.decode("latin-1")
    return repr(text if len(text) <= 100 else text[:99] + "…")

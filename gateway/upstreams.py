"""Decides where a call goes: to the upstream of the settings, or to one of a list that a header names. Pure.

A call never names a host that is not in the list: an address is compared by scheme, host and port, and what is called
is the address of the list. So the gateway reaches what its operator has named, and nothing else of a network.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from runtime.addresses import http_url, url_host
from runtime.http_errors import ApiError

CUSTOM_HOST = b"x-portkey-custom-host"

_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"(/[\w.~!$&'()*+,;=:@%-]*)*", re.ASCII)
_VERSION = "/v1"


@dataclass(frozen=True)
class Upstream:
    """The address of a server, and the path below which it is called. As text it is that address."""

    scheme: str
    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = url_host(self.host)
        return f"{self.scheme}://{host}{'' if self.port == _PORTS[self.scheme] else f':{self.port}'}{self.path}"

    @property
    def place(self) -> tuple[str, str, int]:
        """What the address of a server is compared by."""
        return self.scheme, self.host, self.port

    def url_of(self, raw_path: bytes, query: bytes) -> str:
        """The URL of a call's path and query. ApiError for a path that could lead out of the upstream's own."""
        path = raw_path.decode("latin-1")
        if not path.startswith("/"):
            raise ApiError(f"the target must be a path, as in /v1/chat/completions, got {path[:100]!r}")
        if self.path and _has_dots(path):
            raise ApiError(f"the path must have no . or .. between slashes, got {path[:100]!r}")
        # Clients and upstreams are both given with the version at the end.
        if self.path.endswith(_VERSION) and (path == _VERSION or path.startswith(f"{_VERSION}/")):
            path = path[len(_VERSION) :]
        return f"{self}{path}{'?' if query else ''}{query.decode('latin-1')}"


def upstream_of(text: str) -> Upstream:
    """The upstream of an address. ValueError, which quotes no password, where it is none."""
    parts = urlsplit(http_url(text))
    if "@" in parts.netloc:
        raise ValueError("must hold no user or password: callers send their own credentials")
    if "?" in text or "#" in text or not _PATH.fullmatch(parts.path) or _has_dots(parts.path):
        raise ValueError("must be an address with nothing after its path, as in https://api.example.com/v1")
    host = (parts.hostname or "").lower()
    return Upstream(parts.scheme, host, parts.port or _PORTS[parts.scheme], parts.path.rstrip("/"))


def select_upstream(default: Upstream | None, allowed: Sequence[Upstream], named: bytes | None) -> Upstream:
    """The upstream of a call, given the value of its header. ApiError where it may not go there, or nowhere."""
    if named is None:
        if default is None:
            raise ApiError(
                f"this gateway has no upstream of its own: name one of FEEDBACK_GATEWAY_ALLOWED_UPSTREAMS in"
                f" {CUSTOM_HOST.decode()}, or have its operator set FEEDBACK_GATEWAY_UPSTREAM",
                CUSTOM_HOST.decode(),
            )
        return default
    try:
        wanted = upstream_of(named.decode("ascii"))
    except ValueError as fault:
        reason = "must be ASCII" if isinstance(fault, UnicodeDecodeError) else str(fault)
        raise ApiError(f"{CUSTOM_HOST.decode()} {reason}", CUSTOM_HOST.decode()) from None
    for each in (*allowed, *([default] if default else ())):
        if each.place == wanted.place and each.path in ("", wanted.path):
            found: Upstream = replace(each, path=wanted.path)
            return found
    raise ApiError(
        f"{CUSTOM_HOST.decode()} names {wanted}, which is not in FEEDBACK_GATEWAY_ALLOWED_UPSTREAMS: the gateway calls"
        " no other address",
        CUSTOM_HOST.decode(),
        403,
    )


def _has_dots(path: str) -> bool:
    """Whether a server might read the path as one of another folder."""
    plain = unquote(unquote(path)).replace("\\", "/")
    return any(segment in (".", "..") for segment in plain.split("/"))

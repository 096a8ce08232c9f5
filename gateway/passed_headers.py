"""Decides which headers of a call pass to the upstream, and which of the answer to the caller. Pure.

Headers of one connection stay on it (RFC 9110, 7.6.1). Those of the gateway itself, `x-portkey-…`, stay here: they hold
the key of this API and data about users, which no provider needs. So does the cookie of the dashboard's session, which
is such a key: a browser sends it to every port of a host.
"""

import re
from collections.abc import Iterable

from runtime.request_headers import SESSION_COOKIE
from runtime.trace_headers import TRACE_ID

Pairs = list[tuple[bytes, bytes]]

READABLE_CODINGS = frozenset((b"gzip", b"deflate", b"identity"))
"""The codings of an answer that the log can undo."""

_OF_A_CONNECTION = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
_OWN = b"x-portkey-"
_SESSION = SESSION_COOKIE.encode()
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def to_upstream(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The headers of a request that pass on, with names in lower case as the server gives them."""
    given = list(headers)
    dropped = {*_OF_A_CONNECTION, *_named_by_connection(given), b"host", b"expect"}
    if any(name == b"transfer-encoding" for name, _ in given):
        dropped.add(b"content-length")
    passed = (
        (name, _CHANGED[name](value) if name in _CHANGED else value)
        for name, value in given
        if name not in dropped and not name.startswith(_OWN)
    )
    return [(name, value) for name, value in passed if value or name != b"cookie"]


def to_caller(headers: Iterable[tuple[bytes, bytes]], trace_id: bytes) -> Pairs:
    """The headers of an answer that pass on, and the trace id."""
    given = [(name.lower(), value) for name, value in headers]
    dropped = {*_OF_A_CONNECTION, *_named_by_connection(given), TRACE_ID}
    passed = ((name, value) for name, value in given if name not in dropped and _is_passable(name, value))
    return [*passed, (TRACE_ID, trace_id)]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """What a `Connection` header declares to be of this connection."""
    return {each.strip().lower() for name, value in headers if name == b"connection" for each in value.split(b",")}


def _readable(value: bytes) -> bytes:
    """What of an `Accept-Encoding` the log can read; a call with none of it is answered as it is."""
    members = [each.strip() for each in value.split(b",")]
    kept = [each for each in members if each.split(b";")[0].strip().lower() in READABLE_CODINGS]
    return b", ".join(kept) or b"identity"


def _without_session(cookies: bytes) -> bytes:
    """The cookies of a `Cookie` header but for the session of the dashboard; unchanged where it is not among them."""
    if _SESSION not in cookies:
        return cookies
    members = cookies.split(b";")
    kept = [each for each in members if _name_of(each) != _SESSION]
    return cookies if len(kept) == len(members) else b";".join(kept).strip()


def _is_passable(name: bytes, value: bytes) -> bool:
    """Whether a header of an answer may stand in one, and does not set the session of the dashboard."""
    return not _CONTROL.search(value) and (name != b"set-cookie" or _name_of(value) != _SESSION)


def _name_of(cookie: bytes) -> bytes:
    return cookie.partition(b"=")[0].strip()


_CHANGED = {b"accept-encoding": _readable, b"cookie": _without_session}
"""Headers of which a part may stay here."""

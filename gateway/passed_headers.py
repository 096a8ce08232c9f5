"""Decides which headers of a call pass to the upstream, and which of the answer to the caller. Pure.

Headers of one connection stay on it (RFC 9110, 7.6.1). Those of the gateway itself, `x-portkey-…`, stay here: they hold
the key of this API and data about users, which no provider needs.
"""

from collections.abc import Iterable

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


def to_upstream(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The headers of a request that pass on, with names in lower case as the server gives them."""
    given = list(headers)
    dropped = {*_OF_A_CONNECTION, *_named_by_connection(given), b"host", b"expect"}
    if any(name == b"transfer-encoding" for name, _ in given):
        dropped.add(b"content-length")
    return [
        (name, _readable(value) if name == b"accept-encoding" else value)
        for name, value in given
        if name not in dropped and not name.startswith(_OWN)
    ]


def to_caller(headers: Iterable[tuple[bytes, bytes]], trace_id: bytes) -> Pairs:
    """The headers of an answer that pass on, and the trace id."""
    given = [(name.lower(), value) for name, value in headers]
    dropped = {*_OF_A_CONNECTION, *_named_by_connection(given), TRACE_ID}
    return [*((name, value) for name, value in given if name not in dropped), (TRACE_ID, trace_id)]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """What a `Connection` header declares to be of this connection."""
    return {each.strip().lower() for name, value in headers if name == b"connection" for each in value.split(b",")}


def _readable(value: bytes) -> bytes:
    """What of an `Accept-Encoding` the log can read; a call with none of it is answered as it is."""
    members = [each.strip() for each in value.split(b",")]
    kept = [each for each in members if each.split(b";")[0].strip().lower() in READABLE_CODINGS]
    return b", ".join(kept) or b"identity"

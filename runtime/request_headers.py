"""The headers of an HTTP request with one value for each name, read alike by both halves of the API.

A header that is sent several times is a list (RFC 9110, 5.3), and so its values are joined with commas. A header that
says who calls or what the call is cannot be a list: where it comes with two values, neither is taken for the right one.
"""

from collections.abc import Sequence

from runtime.http_errors import ApiError

KEY_HEADER = b"x-portkey-api-key"
BEARER_HEADER = b"authorization"

_SINGLE = frozenset({BEARER_HEADER, b"idempotency-key", b"content-type", b"content-encoding"})
_ALL_SINGLE = b"x-portkey-"


def headers_of(sent: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """By name, in lower case as a server hands them on; ApiError where a name that can have only one has two."""
    headers = dict(sent)
    if len(headers) == len(sent):
        return headers
    values: dict[bytes, list[bytes]] = {}
    for name, value in sent:
        values.setdefault(name, []).append(value)
    for name, several in values.items():
        if name in _SINGLE or name.startswith(_ALL_SINGLE):
            if len(set(several)) > 1:
                raise _ambiguous(name.decode("latin-1"))
            del several[1:]
    return {name: b", ".join(several) for name, several in values.items()}


def _ambiguous(name: str) -> ApiError:
    return ApiError(f"{name} came more than once with different values: send it once", name)

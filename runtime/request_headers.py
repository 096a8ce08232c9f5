"""The headers of an HTTP request with one value for each name, read in the same way by both halves of the API.

A header that is sent several times is a list (RFC 9110, 5.3), so its values are joined with commas. A header that
identifies the caller or the call cannot be a list: a request with two different values of one is refused.
"""

from collections.abc import Sequence

from runtime.http_errors import ApiError

KEY_HEADER = b"x-portkey-api-key"
BEARER_HEADER = b"authorization"
SESSION_COOKIE = "feedback_key"
"""The cookie in which a browser holds the API key of whoever looks at the dashboard."""

_SINGLE = frozenset({BEARER_HEADER, b"idempotency-key", b"content-type", b"content-encoding"})
_ALL_SINGLE = b"x-portkey-"


def headers_of(sent: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name, in lower case as the server gives them. ApiError where a header has one value too many."""
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

"""Checks the request headers that describe the body: it must be JSON in UTF-8, and not compressed. Pure.

Without these headers, the body is taken as that. A body that is declared as something else is refused, and never
guessed at.
"""

from collections.abc import Mapping

from ingest_api.validation.json_limits import shown
from runtime.http_errors import ApiError

_JSON = b"application/json"
_CHARSETS = ("utf-8", "utf8", "us-ascii")


def check_body_headers(headers: Mapping[bytes, bytes]) -> None:
    """Raise ApiError, naming the header, if the headers declare anything but uncompressed JSON in UTF-8."""
    check_media_type(headers)
    coding = headers.get(b"content-encoding")
    if coding and coding.strip().lower() != b"identity":
        raise ApiError(
            f"Content-Encoding must be left out, got {shown(coding.decode('latin-1'))}: send the body as it is,"
            " not compressed",
            "Content-Encoding",
        )


def check_media_type(headers: Mapping[bytes, bytes]) -> None:
    """Raise ApiError if the headers declare a body that is not JSON in UTF-8."""
    kind = headers.get(b"content-type")
    if kind and kind != _JSON:
        _check_kind(kind.decode("latin-1"))


def _check_kind(kind: str) -> None:
    media_type, *parameters = (part.strip().lower() for part in kind.split(";"))
    named = dict(part.partition("=")[::2] for part in parameters)
    is_json = media_type == "application/json" or (media_type.startswith("application/") and media_type[-5:] == "+json")
    if not is_json or named.get("charset", "utf-8").strip('"') not in _CHARSETS:
        raise ApiError(
            f"Content-Type must be application/json in UTF-8, got {shown(kind)}: the body is read as nothing else",
            "Content-Type",
        )

"""Decides how much of a logged request or response body is stored: all of it, its beginning, or nothing. Pure.

The facts in a body (model, tokens, user) are read before this, so they never depend on it. A truncated body would not
be JSON, so an object that says so takes its place.
"""

from typing import Any

import msgspec

from ingest_api.settings import BodyLimits
from ingest_api.validation.json_limits import dump

TRUNCATED = "$truncated"
PREFIX_CHARS = 1_000


def retained_body(body: Any, limits: BodyLimits) -> msgspec.Raw | None:
    """The stored form of a body as compact JSON; None if there is no body or bodies are not stored.

    A body of more than `limits.logged_body_bytes` becomes `{"$truncated": {"bytes": …, "prefix": …}}`: its size, and
    the beginning of its JSON text.
    """
    if body is None or not limits.keep_bodies:
        return None
    text = dump(body)
    if len(text) > limits.logged_body_bytes:
        # A character has at most four bytes, and the bytes of a character that is cut through are left out.
        prefix = text[: 4 * PREFIX_CHARS].decode(errors="ignore")[:PREFIX_CHARS]
        text = dump({TRUNCATED: {"bytes": len(text), "prefix": prefix}})
    return msgspec.Raw(text)

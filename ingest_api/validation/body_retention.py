"""How much of a logged request's and response's body is kept: all of it, its beginning, or nothing.

Pure. What a body tells (model, tokens, user) is read before this, and so never depends on it. A body that was cut off
would be no JSON, therefore an object that says so stands in its place.
"""

from typing import Any

import orjson

from ingest_api.settings import Limits
from ingest_api.validation.json_limits import dump

TRUNCATED = "$truncated"
PREFIX_CHARS = 1_000


def kept(body: Any, limits: Limits) -> orjson.Fragment | None:
    """The body as compact JSON, None where nothing is kept of it or there is none.

    One of more than `limits.logged_body_bytes` becomes `{"$truncated": {"bytes": …, "prefix": …}}`: its size, and the
    beginning of its JSON text.
    """
    if body is None or not limits.keep_bodies:
        return None
    text = dump(body)
    if len(text) > limits.logged_body_bytes:
        # A character has four bytes at most, and those of one that is cut through are left out.
        prefix = text[: 4 * PREFIX_CHARS].decode(errors="ignore")[:PREFIX_CHARS]
        text = orjson.dumps({TRUNCATED: {"bytes": len(text), "prefix": prefix}})
    return orjson.Fragment(text)

"""Vote tokens for web pages, made in the app's own process: no call to the server, and no key in the page.

Pure, except for the clock and chance. The token's form is that of the server, `docs/browser.md` describes it: claims as
JSON, signed by HMAC-SHA256 with a key that is derived from the app's API key.
"""

import hashlib
import hmac
import os
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from feedback_client.items import checked_metadata, checked_number, checked_text, checked_trace_id, checked_value
from feedback_client.storable import json_of
from feedback_client.trace import current_trace, specials

MAX_TOKEN_CHARS = 8192
MAX_SECONDS = 90 * 86_400
MAX_VOTER_CHARS = 512
THUMBS = (0, 1)

_KEY_SETTING = "FEEDBACK_API_KEY"
_KEY = re.compile(r"fbk_([0-9a-f]{12})_[0-9a-f]{64}")
_PURPOSE = b"feedback vote token v1"


def vote_token(
    trace_id: str | None = None,
    *,
    values: Sequence[int] = THUMBS,
    weight: float = 1.0,
    votes: Literal["one", "many"] = "one",
    voter: str | None = None,
    expires_in: float = 86_400,
    user: str | None = None,
    organisation: str | None = None,
    prompt: str | None = None,
    environment: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    api_key: str | None = None,
) -> str:
    """A token with which a page may vote on one trace, that of this context if none is given.

    A page may vote one of `values`, with this `weight`, for `expires_in` seconds. A `voter` has one vote on a trace,
    whichever token it comes with; if none is named it is `user`, and without a user each token is a voter of its own.
    With `votes="many"` each vote has a name and stands beside the others. `api_key` needs the scope feedback.token; it
    is FEEDBACK_API_KEY where it is not given. ValueError for what the server would refuse.
    """
    key_id, signing_key = _signing_key(api_key or os.environ.get(_KEY_SETTING, ""))
    trace = current_trace() if trace_id is None else None
    about = trace.trace_id if trace else checked_trace_id(trace_id or "")
    tags = {**(trace.tags if trace else {}), **(metadata or {}), **specials(user, organisation, prompt, environment)}
    told = checked_metadata(tags)
    if votes not in ("one", "many"):
        raise ValueError(f'votes must be "one" or "many", got {votes!r}')
    named = told.get("_user") if voter is None else voter
    claims = {
        "trace_id": about,
        "expires_at": int(time.time() + checked_number("expires_in", expires_in, 1, MAX_SECONDS)),
        "values": _values(values),
        "weight": round(float(checked_number("weight", weight, 0, 1)), 9),
        "votes": votes,
        "voter": secrets.token_hex(16) if named is None or (voter is None and named == "") else _voter(named),
        "metadata": told,
    }
    signed = f"fbt_{key_id}.{_encoded(json_of(claims))}"
    token = f"{signed}.{_encoded(hmac.digest(signing_key, signed.encode(), 'sha256'))}"
    if len(token) > MAX_TOKEN_CHARS:
        raise ValueError(f"metadata is too much for a token, which has at most {MAX_TOKEN_CHARS} characters")
    return token


def _signing_key(api_key: str) -> tuple[str, bytes]:
    match = _KEY.fullmatch(api_key)
    if match is None:
        raise ValueError(f"api_key ({_KEY_SETTING}) must be an API key of the server, which begins with fbk_")
    return match[1], hmac.digest(hashlib.sha256(api_key.encode()).digest(), _PURPOSE, "sha256")


def _values(values: Sequence[int]) -> list[int]:
    found = list(dict.fromkeys(map(checked_value, values)))
    if not found:
        raise ValueError("values must name at least one value that may be voted")
    return found


def _voter(voter: object) -> str:
    text = voter if isinstance(voter, str) else json_of(voter).decode()
    if not 1 <= len(checked_text("voter", text)) <= MAX_VOTER_CHARS:
        raise ValueError(f"voter must have 1 to {MAX_VOTER_CHARS} characters, got {len(text)}")
    return text


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

"""Vote tokens: each lets whoever holds it, such as a web page, vote on one trace within what the token allows.

A token is `fbt_`, the id of the API key that made it, `.`, its claims as JSON in base64url, `.`, and the HMAC-SHA256 of
all before that dot, in base64url. The HMAC's key is derived from the SHA-256 of the API key, so whoever has the API key
can make tokens, and whoever has only its stored record can check them. `docs/browser.md` says what follows from that.
Pure; the time is a parameter. The Python client makes the same tokens by code of its own.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import TraceId, Value, Weight

MOST_TOKEN_CHARS = 8192
"""The longest token: it travels in a header."""
MOST_DAYS = 90
"""How long a token may be valid, in days from when it is used."""
MOST_VOTER_CHARS = 512
MOST_VOTE_NAME_CHARS = 128

_PURPOSE = b"feedback vote token v1"
_FORM = re.compile(r"(fbt_([0-9a-f]{12})\.([A-Za-z0-9_-]{1,8192}))\.([A-Za-z0-9_-]{43})")
# Checked in place of an unknown key, so that an unknown key takes as long as a wrong signature.
_NO_KEY = "0" * 64


class VoteClaims(BaseModel):
    """What a token allows. A claim that is not known here is refused, for it may forbid something."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    trace_id: TraceId
    expires_at: Annotated[int, Field(ge=0, le=2**53 - 1, description="Unix seconds from which it is refused.")]
    values: Annotated[tuple[Value, ...], Field(min_length=1, max_length=21, strict=False)]
    weight: Weight = 1.0
    votes: Annotated[Literal["one", "many"], Field(description="`many`: each vote has a name of its own.")] = "one"
    voter: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MOST_VOTER_CHARS,
            description="Who votes: a voter has one vote on a trace, whichever token it comes with.",
        ),
    ]
    metadata: dict[str, Any] = Field(default_factory=dict)


class SignedToken(NamedTuple):
    """A token as it was sent, in its parts. Nothing in it is to be believed before its signature is checked."""

    key_id: str
    signed: str
    claims: str
    signature: str


def sign(key_id: str, key_hash: str, claims: bytes) -> str:
    """The token with these claims (JSON), made by the API key of this id whose SHA-256, in hex, is `key_hash`."""
    signed = f"fbt_{key_id}.{_encoded(claims)}"
    return f"{signed}.{_signature(key_hash, signed)}"


def token_in(text: str) -> SignedToken | None:
    """The token in a text; None if the text does not have the form of one."""
    match = _FORM.fullmatch(text) if len(text) <= MOST_TOKEN_CHARS else None
    return SignedToken(match[2], match[1], match[3], match[4]) if match else None


def is_signed_by(token: SignedToken, key_hash: str | None) -> bool:
    """Whether the key with this SHA-256 made the token. Takes the same time whatever differs; None: no key is known.

    The texts are compared as they came: a base64 text with other bits at its end would decode to the same bytes.
    """
    matches = hmac.compare_digest(_signature(key_hash or _NO_KEY, token.signed), token.signature)
    return matches and key_hash is not None


def claims_of(token: SignedToken) -> VoteClaims:
    """What a token allows, once its signature was checked. ValueError if its claims are not valid."""
    return VoteClaims.model_validate_json(urlsafe_b64decode(token.claims + "=" * (-len(token.claims) % 4)))


def _signature(key_hash: str, signed: str) -> str:
    key = hmac.digest(bytes.fromhex(key_hash), _PURPOSE, "sha256")
    return _encoded(hmac.digest(key, signed.encode(), "sha256"))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()

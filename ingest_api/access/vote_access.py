"""Decides who may vote with a token, from the headers alone, before the body is read.

The signature is checked first, in constant time, so a forger learns nothing of the keys. A token is worth as much as
the API key that made it: it ends with that key's expiry, revocation or lack of scope, and counts to its rate limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest_api.access.access_control import AccessControl, Headers
from runtime.api_key_authentication import Caller, how_ended
from runtime.http_errors import ApiError
from runtime.request_headers import BEARER_HEADER, KEY_HEADER
from schemas.api_keys import ApiKey
from schemas.key_scopes import ADMIN, Scope
from schemas.vote_tokens import MOST_DAYS, SignedToken, VoteClaims, claims_of, is_signed_by, token_in

TOKEN_SCOPE: Scope = "feedback.token"
_DAY_S = 86_400
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Voter(Caller):
    """A caller who may vote with a token and nothing else."""

    claims: VoteClaims | None = None


class VoteAccess(AccessControl):
    """The access check of the vote route: a valid token, and the rate limit of the key that made it."""

    def _caller(self, headers: Headers, now_ms: int) -> Caller:
        name, value = _presented(headers)
        if message := self._authenticator.fault(now_ms):
            raise ApiError(message, status=503)
        token = token_in(value)
        if token is None:
            raise _refused(_no_token(value), name)
        key = self._authenticator.store.get(token.key_id)
        if not is_signed_by(token, key.hash if key else None):
            raise _refused(
                f"the token is forged or damaged, or no API key {token.key_id} is known here: have the app's server"
                " make a new one",
                name,
            )
        assert key is not None
        return _voter(key, _claims(token, name), name, now_ms)


def _voter(key: ApiKey, claims: VoteClaims, name: str, now_ms: int) -> Voter:
    if ended := how_ended(key, now_ms):
        raise _refused(f"the API key {key.key_id} that made the token {ended}", name)
    if TOKEN_SCOPE not in key.scopes and ADMIN not in key.scopes:
        raise ApiError(
            f"the API key {key.key_id} that made the token lacks the scope {TOKEN_SCOPE}: it has"
            f" {', '.join(sorted(key.scopes))}",
            name,
            403,
        )
    left_ms = claims.expires_at * 1000 - now_ms
    if left_ms <= 0:
        raise _refused("the token has expired: have the app's server make a new one", name)
    if left_ms > MOST_DAYS * _DAY_S * 1000:
        raise ApiError(f"the token is valid for more than {MOST_DAYS} days, which no token may be", name, 403)
    return Voter(key.workspace, frozenset(), key.key_id, claims.expires_at * 1000, key.rate_limit_per_s, claims=claims)


def _claims(token: SignedToken, name: str) -> VoteClaims:
    try:
        return claims_of(token)
    except ValueError:
        # Its maker has the key, and is at fault or newer than this server.
        raise ApiError("the token's claims are not valid here: docs/browser.md lists them", name, 403) from None


def _presented(headers: Mapping[bytes, bytes]) -> tuple[str, str]:
    """The header that holds the token, and its text."""
    found = {header: value for header in (BEARER_HEADER, KEY_HEADER) if (value := _text(headers.get(header, b"")))}
    if not found:
        raise _refused("a vote token is needed: send it as `Authorization: Bearer TOKEN`", BEARER_HEADER.decode())
    if len(set(found.values())) > 1 and all(map(token_in, found.values())):
        message = "Authorization and x-portkey-api-key hold different vote tokens: send one of them"
        raise ApiError(message, KEY_HEADER.decode())
    header, text = next(iter(found.items()))
    return header.decode(), text


def _text(value: bytes) -> str:
    """What a header holds, without the word Bearer."""
    text = value.decode("latin-1")
    return text[len(_BEARER) :].strip() if text[: len(_BEARER)].lower() == _BEARER else text


def _no_token(value: str) -> str:
    if value.startswith("fbk_"):
        return "this route takes a vote token, which begins with fbt_, and no API key: a key must not be in a page"
    return "this is no vote token of this server: they begin with fbt_"


def _refused(message: str, name: str) -> ApiError:
    return ApiError(message, name, 401, [(b"www-authenticate", b"Bearer")])

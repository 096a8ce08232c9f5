"""Checks user and password of requests to the embedded ClickHouse, which has one user. Pure.

A request gives them as a ClickHouse server takes them, in one of three ways: basic authentication, the headers
X-ClickHouse-User and X-ClickHouse-Key, or the parameters `user` and `password`.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl

from deploy.embedded.clickhouse_answers import Answer, failure

_USER_HEADER, _KEY_HEADER = "x-clickhouse-user", "x-clickhouse-key"


def refused_login(headers: Mapping[str, str], query_string: bytes, user: str, password: str) -> Answer | None:
    """The answer to a request that does not come from this user; None where it does."""
    parameters = dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    ways = [
        given
        for given in (
            _basic(headers.get("authorization")),
            _pair(headers.get(_USER_HEADER), headers.get(_KEY_HEADER)),
            _pair(parameters.get("user"), parameters.get("password")),
        )
        if given is not None
    ]
    if not ways:
        message = "this ClickHouse wants a password: its address with user and password is in the ready line of"
        message += " `feedback up`, and in the file `address` of its data folder; `feedback sql` finds it by itself"
        return failure(
            *(194, "REQUIRED_PASSWORD", f"Code: 194. DB::Exception: {message}. (REQUIRED_PASSWORD)"),
            headers={"WWW-Authenticate": 'Basic realm="ClickHouse"'},
        )
    # All are compared completely, so that the time reveals nothing.
    good = [hmac.compare_digest(each.encode(), f"{user}:{password}".encode()) for each in ways]
    if len(ways) > 1 or not all(good):
        message = "there is no such user with this password, or more than one is given"
        return failure(516, "AUTHENTICATION_FAILED", f"Code: 516. DB::Exception: {message}. (AUTHENTICATION_FAILED)")
    return None


def _basic(authorization: str | None) -> str | None:
    if authorization is None:
        return None
    scheme, _, encoded = authorization.strip().partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _pair(user: str | None, password: str | None) -> str | None:
    return None if user is None and password is None else f"{user or 'default'}:{password or ''}"

"""What of a request log authenticates somebody, taken out before it goes anywhere.

Pure. A name is judged by its words, in whatever case and with whatever between them, so that headers and parameters
that nobody has thought of yet are caught too; of what is caught the name stays and the value goes. Bodies and metadata
are the caller's own, and are not looked through.
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

REDACTED = "[redacted]"

MAX_PARAMETERS = 100

# In any name, and as a word of its own; looked for one by one, which takes a tenth of one pattern's time on long names.
_WORDS = (
    *("authorization", "authorisation", "cookie", "apikey", "api_key", "token", "secret", "passw", "credential"),
    *("signature", "_key_", "_auth_", "_sig_", "_pwd_", "_jwt_"),
)
_CAPITAL_KEY = re.compile("(?<=[a-z])Key(?=$|[-_ A-Z])")
_USER = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?//)[^/?#]*@", re.I)
_QUERY = re.compile("([^?#]*)([?#]?)(.*)", re.DOTALL)
_NAME = re.compile(r"(?:^|;)([^=;]*)=")


def headers_without_secrets(headers: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Headers with the values of those that authenticate somebody replaced."""
    if headers is None:
        return None
    return {name: REDACTED if _is_secret(name) else value for name, value in headers.items()}


def url_without_secrets(url: str | None) -> str | None:
    """A URL with the values of such parameters replaced, in query and fragment, and with them a user before its host.

    All else stays as it was written, but for what follows the path where that has too many parameters to judge each.
    """
    if url is None:
        return None
    path, mark, rest = _QUERY.match(_USER.sub(rf"\1{REDACTED}@", url)).groups()  # type: ignore[union-attr]
    if sum(map(rest.count, "?#&;")) >= MAX_PARAMETERS:
        return path + mark + REDACTED
    return path + "".join(map(_parameter, re.split("([?#&])", mark + rest)))


def _is_secret(name: str) -> bool:
    words = f"_{name.strip()}_".casefold().replace("-", "_").replace(" ", "_")
    for word in _WORDS:
        if word in words:
            return True
    return "Key" in name and _CAPITAL_KEY.search(name) is not None


def _parameter(part: str) -> str:
    # Some servers take a semicolon for a separator and some for a part of the value: all that could be the secret goes.
    for name in _NAME.finditer(part):
        if _is_secret(unquote_plus(name[1])):
            return part[: name.end()] + REDACTED
    return part

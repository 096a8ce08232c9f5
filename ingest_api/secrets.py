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

_SECRET = re.compile(
    r"authori[sz]ation|cookie|api[-_ ]?key|token|secret|passw|credential|signature"
    r"|(^|[-_ ])(key|auth|sig|pwd|jwt)($|[-_ ])|(?-i:[a-z]Key($|[-_ A-Z]))",
    re.I,
)
_USER = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?//)[^/?#]*@", re.I)
_NAME = re.compile(r"(?:^|;)([^=;]*)=")


def headers_without_secrets(headers: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Headers with the values of those that authenticate somebody replaced."""
    if headers is None:
        return None
    return {name: REDACTED if _SECRET.search(name) else value for name, value in headers.items()}


def url_without_secrets(url: str | None) -> str | None:
    """A URL with the values of such parameters replaced, in query and fragment, and with them a user before its host.

    All else stays as it was written.
    """
    if url is None:
        return None
    path, *parts = re.split(r"([?#&])", _USER.sub(rf"\1{REDACTED}@", url))
    return path + "".join(map(_parameter, parts))


def _parameter(part: str) -> str:
    # Some servers take a semicolon for a separator and some for a part of the value: all that could be the secret goes.
    for name in _NAME.finditer(part):
        if _SECRET.search(unquote_plus(name[1])):
            return part[: name.end()] + REDACTED
    return part

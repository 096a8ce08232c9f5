"""The redaction of URLs: of the user, the values of parameters, path segments like tokens, and the fragment. Pure.

Names of parameters are kept, in the query and in the path; values are kept only under names that are known to be
harmless. A text that is not a URL by these rules is redacted completely. A segment of the path is like a token, as
webhooks and bots have it, if it has twenty characters of base64 in a row, of them twenty letters and digits without a
mark between, of both at least one, or a word that changes between small letters, capitals and digits as names do not.
Names of models and versions have marks between shorter words; a UUID is none.
"""

import re
from itertools import islice, repeat
from urllib.parse import unquote, unquote_plus

from runtime.harmless_names import HarmlessNames

REDACTED = "[redacted]"
"""What takes the place of a text that may be secret."""

MAX_CHARS = 16_384

_URL = re.compile(
    r"(?:(?:[a-z][a-z0-9+.-]{0,30}:)?//(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.I | re.DOTALL,
)
# Browsers drop some of these characters and read others as a slash, so they may hide where a part ends.
_NO_URL = re.compile(r"[\s\x00-\x1f\x7f\\]")
_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[\w.-]*)(?::[0-9]{0,5})?", re.I)
_NAME = re.compile(r"[\w.$:\[\]~-]{1,64}")
_PLAIN_VALUE = re.compile(r"[\w.:/ +,~-]{0,100}")
_WITHIN_SEGMENT = re.compile("[;=?#&%]|//")
_UUID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-z])", re.I)
_TOKEN = re.compile("[0-9A-Za-z_+-]{20,}")
_WORD = re.compile("[0-9A-Za-z]{8,}")
_LONG, _CHANGES = 20, 4
_CHANGE = re.compile("(?<=[a-z])(?=[A-Z0-9])|(?<=[A-Z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
"""Where small letters, capitals and digits change; a capital at the start of a word and the word are one."""


def url_without_secrets(url: str | None, harmless: HarmlessNames) -> str | None:
    """The URL with `[redacted]` for everything that may be secret; the rest is unchanged."""
    if url is None:
        return None
    parts = None if len(url) > MAX_CHARS or _NO_URL.search(url) else _URL.fullmatch(url)
    if parts is None:
        return REDACTED
    authority, path, query, fragment = parts.group("authority", "path", "query", "fragment")
    user, at, host = (authority or "").rpartition("@")
    segments = path.split("/")
    # Without a host, the text before the first colon may be a scheme or a user.
    nameless = authority is None and (":" in segments[0] or "@" in segments[0])
    if nameless or not _HOST.fullmatch(host):
        return REDACTED
    return "".join(
        (
            "" if authority is None else url[: parts.start("authority")] + (REDACTED if user else "") + at + host,
            "/".join(map(_segment, segments, [None, None, *segments[1:]], repeat(harmless))),
            "" if query is None else "?" + _parameters(query, "&", harmless),
            "" if fragment is None else "#" + (REDACTED if fragment else ""),
        )
    )


def _segment(segment: str, before: str | None, harmless: HarmlessNames) -> str:
    # When encoded, these belong to a URL inside this one, or to this one for a server that decodes before it splits.
    if "%" in segment and _WITHIN_SEGMENT.search(unquote(segment)):
        return REDACTED
    # Where a URL within the path begins, there may be a user.
    if "@" in segment and before is not None and (not before or before.endswith(":")):
        return REDACTED
    first, semicolon, parameters = segment.partition(";")
    if "=" in first:
        first = _parameter(first, harmless)
    elif has_token(unquote(first)):
        first = REDACTED
    return first + semicolon + _parameters(parameters, ";", harmless)


def has_token(text: str) -> bool:
    """Whether there is something like a token in a text: see above."""
    for run in _TOKEN.findall(_UUID.sub("", text)):
        for word in _WORD.findall(run):
            if len(word) >= _LONG and not word.isalpha() and not word.isdigit():
                return True
            if sum(1 for _ in islice(_CHANGE.finditer(word), _CHANGES)) == _CHANGES:
                return True
    return False


def _parameters(text: str, between: str, harmless: HarmlessNames) -> str:
    return between.join(_parameter(each, harmless) for each in text.split(between))


def _parameter(text: str, harmless: HarmlessNames) -> str:
    name, equals, value = text.partition("=")
    plain = unquote_plus(name)
    if not text or (equals and not value and _NAME.fullmatch(plain)):
        return text
    if harmless.has_parameter(plain) and _PLAIN_VALUE.fullmatch(unquote_plus(value)):
        return text
    return f"{name}={REDACTED}" if equals and _NAME.fullmatch(plain) else REDACTED

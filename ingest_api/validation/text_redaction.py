"""The redaction of names and texts that a program wrote, as in the message of an error. Pure.

Such a text may quote the address that was called, with its key, or the options of a client. What is a secret is told by
how its name ends: the values of `openai_api_key` and `clientSecret` are as secret as that of `api_key`.
"""

import re
from collections.abc import Iterator

from runtime.harmless_names import HarmlessNames, normalized
from runtime.url_redaction import REDACTED, has_token, url_without_secrets

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_END = re.compile(
    r"(?:(?:(?:api|access|account|encryption|private|secret|shared|signing|subscription)-?key|secret|password|passwd"
    r"|passphrase|authorization|credential|cookie|connection-?string|(?<![a-z])(?:auth|bearer|dsn|jwt|pwd))s?|token)"
    r"(?:[.-](?:value|[0-9]{1,4}))?[\]\"']{0,2}\Z"
)
_MOST_CHARS = 128
"""Of a longer name, its end decides."""

may_tell_secret = re.compile(r"[:=/?\[{]|[Ee][Aa][Rr][Ee][Rr]\s").search
"""Whether a text may hold a secret: an address, a name with a value, or a structure. Most texts cannot."""
_IN_LOWER_CASE = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
"""Those that leave a text as long as it is."""
_WORD = re.compile(r"[^\s\"'<>`]{4,}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.:-]{0,60}//\S*", re.I)
_HOST = re.compile(
    r"(?!sha256:)(?:\[[0-9a-f:.]+\]|[0-9.-]*[a-z_][\w.-]*|(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:[:/?,;)\]}].*)?\Z", re.I
)
"""What follows the `@` of a login: a name or a number of a host, and what stands behind it."""
_OF_PEOPLE = ("mailto", "sip", "sips", "xmpp", "acct")
"""Schemes whose addresses have an `@` and no password."""
_BEFORE_USER = re.compile(r".*[=(,\[{;]", re.DOTALL)
_MOST_ADDRESSES, _MOST_NAMED = 100, 1_000
"""Of one text. A text with more is redacted whole, so that none holds up other calls."""
_AFTER_ADDRESS = ").,;:]}!"
_NAMED = re.compile(
    r"(headers?[\"']?\s{0,4}[:=]\s{0,4})[\[{(].*"
    r"|((?:authorization|cookie)s?[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\r\n\"']+"
    r"|((?:(?:(?:api|access|account|encryption|private|secret|shared|signing|subscription)[ _-]?key|secret|password|pwd"
    r"|passwd|passphrase|credential|connection[ _-]?string)s?|token)(?: provided)?[\"']?\s{0,4}[:=]\s{0,4})"
    r"(?:\"[^\"]*\"?|'[^']*'?|[^\s\"',;&)\]}]+)"
    r"|(bearer\s{1,4})[\w.~+/=-]{8,}",
    re.DOTALL,
)
"""A name in lower case, and its value: of headers all the text that follows, of secret ones their line, else a word."""
_NAMES_SECRET = re.compile(
    r"(?:headers?|key|secret|passw(?:or)?d|passphrase|token|authorization|cookies?|credentials?)[\"'\\]", re.I
)


def words_of(name: str) -> str:
    """A name in the form in which names are compared: in lower case, with hyphens between its words."""
    return normalized(_CAMEL.sub("-", name))


def is_secret_name(words: str) -> bool:
    """Whether the value under a name, which is in the form of `words_of`, is a secret."""
    return _SECRET_END.search(words[-_MOST_CHARS:]) is not None


def text_without_secrets(text: str, harmless: HarmlessNames) -> str:
    """The text with `[redacted]` in place of what may be secret in addresses, and after the names of secrets."""
    if not may_tell_secret(text):
        return text
    if text.lstrip()[:1] in ("{", "[") and _NAMES_SECRET.search(text):
        # What is no JSON, or was cut off, does not tell where a value ends.
        return REDACTED
    if "//" in text and _ADDRESS.fullmatch(text.strip()):
        return url_without_secrets(text.strip(), harmless) or ""
    if "//" in text or ("?" in text and "=" in text) or ("/" in text and has_token(text)):
        addresses = iter(range(_MOST_ADDRESSES))
        try:
            text = _WORD.sub(lambda found: _word(found[0], harmless, addresses), text)
        except StopIteration:
            return REDACTED
    if "@" in text and ":" in text:
        logins = iter(range(_MOST_NAMED))
        try:
            text = _WORD.sub(lambda found: _without_login(found[0], logins), text)
        except StopIteration:
            return REDACTED
    return _without_named(text)


def _without_login(word: str, logins: Iterator[int]) -> str:
    """The word without user and password before the `@` of a host, where no scheme says that it is an address."""
    before, at, host = word.rpartition("@")
    user, colon, password = before.partition(":")
    # After a scheme, what belongs to the address is redacted already.
    if not colon or not password or password.startswith("//") or user.lower() in _OF_PEOPLE or not _HOST.match(host):
        return word
    next(logins)
    found = _BEFORE_USER.match(user)
    return user[: found.end() if found else 0] + REDACTED + at + host


def _without_named(text: str) -> str:
    """The text without what follows the name of a secret."""
    # A search that heeds no case takes four times as long. Few letters change the length of a text.
    plain = text.lower()
    plain = plain if len(plain) == len(text) else text.translate(_IN_LOWER_CASE)
    pieces: list[str] = []
    rest = 0
    for number, found in enumerate(_NAMED.finditer(plain)):
        if number == _MOST_NAMED:
            return REDACTED
        pieces += (text[rest : found.end(found.lastindex or 0)], REDACTED)
        rest = found.end()
    return "".join((*pieces, text[rest:])) if pieces else text


def _word(word: str, harmless: HarmlessNames, addresses: Iterator[int]) -> str:
    """A word in which an address may begin: one with a host, or a path with a query or with something like a token."""
    found = _ADDRESS.search(word) if "//" in word else None
    begin = found.start() if found else 0
    if not found and not (word[0] in "/?" and ("=" in word or word.startswith("//") or has_token(word))):
        return word
    next(addresses)
    address = word[begin:].rstrip(_AFTER_ADDRESS)
    return word[:begin] + (url_without_secrets(address, harmless) or "") + word[begin + len(address) :]

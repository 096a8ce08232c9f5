"""What the documentation says is stored of headers and of a URL, written down once more without any code of the edge.

Of the names that are known to be harmless only those stand here that the calls use.
"""

import json
import re
import string
from itertools import pairwise
from typing import Any
from urllib.parse import unquote, unquote_plus

REDACTED = "[redacted]"
HEADERS = ("content-type", "user-agent", "provider")
HEADER_ENDS = ("request-id", "correlation-id", "trace-id", "span-id", "-version")
SECRET_WORDS = ("auth", "bearer", "cookie", "-key", "apikey", "password", "secret", "session", "token")
PARAMETERS = ("model", "api-version", "page")
TOKEN = set(string.ascii_letters + string.digits + "!#$%&'*+.^_`|~-:")
PARAMETER = set(string.ascii_letters + string.digits + "_.$:[]~-é")
VALUE = PARAMETER - set("$[]") | set("/ +,")


def headers(value: Any) -> dict[str, Any] | None:
    """The object that is stored."""
    if value is None:
        return None
    pairs = _told(value)
    if pairs is None:
        return {REDACTED: REDACTED}
    stored: dict[str, Any] = {}
    for name, given in pairs:
        is_name = isinstance(name, str) and 0 < len(name.removeprefix(":")) <= 64 and set(name) <= TOKEN
        if not is_name or ":" in name[1:]:
            name = REDACTED
        plain = name.lower().replace("_", "-")
        listed = given if isinstance(given, list) else [given]
        harmless = plain in HEADERS or (plain.endswith(HEADER_ENDS) and not any(word in plain for word in SECRET_WORDS))
        if not harmless or any(isinstance(each, list | dict) or "\n" in str(each) for each in listed):
            given = REDACTED
        if name not in stored:
            stored[name] = given
        elif (stored[name], given) != (REDACTED, REDACTED):
            before = stored[name] if isinstance(stored[name], list) else [stored[name]]
            stored[name] = before + (given if isinstance(given, list) else [given])
    return stored


def _told(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, str) and value.strip()[:1] in tuple("{["):
        try:
            value = json.loads(value, object_pairs_hook=_once)
        except (ValueError, RecursionError):
            return None
        if "\\u0000" in json.dumps(value):
            return None
    elif isinstance(value, str):
        value = [line for line in value.split("\n") if line]
    if isinstance(value, dict):
        return list(value.items())
    if not isinstance(value, list):
        return None
    if value and all(isinstance(each, str) for each in value):
        parts = [each.partition(":") for each in value]
        # Blanks are allowed between a name and its colon.
        lines = [(name.rstrip(" \t"), text.strip()) for name, colon, text in parts if colon]
        if len(lines) < len(parts) or not all(name and not re.search(r"\s", name) for name, _ in lines):
            return None
        return [*lines]
    pairs: list[tuple[Any, Any]] = []
    for each in value:
        if isinstance(each, list) and len(each) == 2:
            pairs.append((each[0], each[1]))
        elif isinstance(each, dict) and {"name", "value"} == set(each):
            pairs.append((each["name"], each["value"]))
        elif isinstance(each, dict):
            pairs += each.items()
        else:
            return None
    return pairs


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(members)) < len(members):
        raise ValueError
    return dict(members)


def url(text: str | None) -> str | None:
    """The URL that is stored."""
    if text is None:
        return None
    if any(each.isspace() or each == "\\" or ord(each) < 32 for each in text):
        return REDACTED
    rest, hash_sign, fragment = text.partition("#")
    rest, question, query = rest.partition("?")
    scheme, slashes, after = rest.partition("//")
    if slashes and re.fullmatch("([A-Za-z][A-Za-z0-9+.-]*:)?", scheme):
        authority, slash, path = after.partition("/")
        user, at, host = authority.rpartition("@")
        if not re.fullmatch(r"([\w.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{0,5})?", host):
            return REDACTED
        opening, path = scheme + "//" + (REDACTED if user else "") + at + host, slash + path
    else:
        opening, path = "", rest
        if ":" in path.partition("/")[0] or "@" in path.partition("/")[0]:
            return REDACTED
    segments = path.split("/")
    stored = [_segment(segments, place) for place in range(len(segments))]
    told = opening + "/".join(stored) + question + "&".join(map(_parameter, query.split("&")))
    return told + hash_sign + (REDACTED if fragment else "")


def _segment(segments: list[str], place: int) -> str:
    segment = segments[place]
    decoded = unquote(segment)
    if "%" in segment and ("//" in decoded or any(each in decoded for each in ";=?#&%")):
        return REDACTED
    if "@" in segment and place > 1 and (segments[place - 1] == "" or segments[place - 1][-1] == ":"):
        return REDACTED
    first, *parameters = segment.split(";")
    if "=" not in first and _is_like_a_token(unquote(first)):
        first = REDACTED
    return ";".join([_parameter(first) if "=" in first else first, *map(_parameter, parameters)])


def _is_like_a_token(text: str) -> bool:
    letters = string.ascii_letters + string.digits
    text = re.sub(r"(?i)(^|[^0-9a-z])[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}($|[^0-9a-z])", r"\1\3", text)
    runs = "".join(each if each in letters + "_+-" else " " for each in text).split()
    words = [word for run in runs if len(run) >= 20 for word in re.split("[_+-]", run)]
    return any(
        (len(word) >= 20 and not word.isalpha() and not word.isdigit()) or (len(word) >= 8 and _changes(word) >= 4)
        for word in words
    )


def _changes(word: str) -> int:
    kinds = ["1" if each.isdigit() else "A" if each.isupper() else "a" for each in word]
    return sum(two != each and (two, each) != ("A", "a") for two, each in pairwise(kinds))


def _parameter(text: str) -> str:
    name, equals, value = text.partition("=")
    plain = unquote_plus(name)
    if not 0 < len(plain) <= 64 or not set(plain) <= PARAMETER:
        return REDACTED if text else ""
    decoded = unquote_plus(value)
    harmless = plain.lower().replace("_", "-") in PARAMETERS and len(decoded) <= 100 and set(decoded) <= VALUE
    if harmless or (equals and not value):
        return text
    return f"{name}={REDACTED}" if equals else REDACTED

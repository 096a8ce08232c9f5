"""Removes what may be secret from the headers of a request log, whatever shape they have. Pure.

The name of a header is stored, and its value only if the name is known to be harmless. Headers come in several shapes
and are stored in one: an object of names and values. Headers in any other shape are redacted completely. Bodies and
metadata are the caller's own, and are not searched.
"""

import re
from typing import Any

from ingest_api.validation.json_limits import parse
from runtime.harmless_names import HarmlessNames
from runtime.http_errors import ApiError
from runtime.url_redaction import REDACTED

MAX_HEADERS = 1000
MAX_VALUES = 100

# A token of RFC 9110, or a pseudo header of HTTP/2. A longer text is no name, and may be a misplaced secret.
_NAME = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
_LINE = re.compile(r"([^:\s]+)[ \t]*:(.*)", re.DOTALL)
_NEW_LINE = re.compile(r"\r\n|\r|\n")
_NAMES = ("name", "key", "header")
_VALUES = ("value", "values")
_BESIDE = ("type", "description", "comment", "disabled", "enabled", "sensitive")

Pairs = list[tuple[Any, Any]]


def headers_without_secrets(headers: Any, harmless: HarmlessNames) -> dict[str, Any] | None:
    """Headers as one object, with every value redacted whose name is not known to be harmless."""
    if headers is None:
        return None
    pairs = _pairs(_read(headers) if isinstance(headers, str) else headers)
    if pairs is None or len(pairs) > MAX_HEADERS:
        return {REDACTED: REDACTED}
    found: dict[str, list[Any]] = {}
    for given, value in pairs:
        name = given if isinstance(given, str) and _NAME.fullmatch(given) else REDACTED
        kept = value if harmless.has_header(name) and _is_plain(value) else REDACTED
        found.setdefault(name, []).append(kept)
    return {name: values[0] if len(values) == 1 else _together(values) for name, values in found.items()}


def _read(text: str) -> Any:
    """The headers in a text: JSON, or lines as in HTTP."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return parse(text.encode())
        except ApiError:
            return None
    return [line for line in _NEW_LINE.split(text, 2 * MAX_HEADERS) if line]


def _pairs(headers: Any) -> Pairs | None:
    """Pairs of name and value, cut a little above the allowed number; None if the shape is unknown."""
    if isinstance(headers, dict):
        return list(headers.items())
    if not isinstance(headers, list):
        return None
    headers = headers[: MAX_HEADERS + 1]
    # A list of texts may also alternate names and values, so all must be lines before they are read as lines.
    if headers and all(isinstance(each, str) for each in headers):
        lines = [_LINE.fullmatch(each) for each in headers]
        return [(line[1], line[2].strip()) for line in lines if line] if all(lines) else None
    pairs: Pairs = []
    for entry in headers:
        some = _entry(entry)
        if some is None:
            return None
        pairs += some[: MAX_HEADERS + 1]
    return pairs


def _entry(entry: Any) -> Pairs | None:
    """The headers in one entry of a list: a pair, an object with a name and a value, or an object of headers."""
    if isinstance(entry, list):
        return [(entry[0], entry[1])] if len(entry) == 2 else None
    if not isinstance(entry, dict):
        return None
    if len(entry) <= 2 + len(_BESIDE):
        members = {name.lower(): value for name, value in entry.items()}
        names, values = ([name for name in known if name in members] for known in (_NAMES, _VALUES))
        if len(names) == len(values) == 1 and members.keys() <= {*names, *values, *_BESIDE}:
            return [(members[names[0]], members[values[0]])]
    return list(entry.items())


def _is_plain(value: Any) -> bool:
    """Whether a value can be a header value, without another header inside it."""
    if isinstance(value, list):
        return len(value) <= MAX_VALUES and all(not isinstance(each, list) and _is_plain(each) for each in value)
    if isinstance(value, str):
        return "\n" not in value and "\r" not in value
    return not isinstance(value, dict)


def _together(several: list[Any]) -> Any:
    """The values of a name that appears several times, as one value."""
    if all(value == REDACTED for value in several):
        return REDACTED
    return [each for value in several for each in (value if isinstance(value, list) else [value])]

"""Removes what may be secret from the attributes that become metadata: headers, addresses and keys. Pure.

Instrumentations put headers and addresses under names of their own, and into JSON texts. So an attribute is recognised
by a part of its name or by the shape of its value, and no list of attributes has to be complete.
"""

import re
from functools import lru_cache
from typing import Any

from ingest_api.otlp.message_parts import value_in_text
from ingest_api.otlp.telemetry_data import Attributes
from ingest_api.validation.json_limits import dump
from ingest_api.validation.redaction import headers_without_secrets
from runtime.harmless_names import HarmlessNames, normalized
from runtime.url_redaction import REDACTED, url_without_secrets

_HEADERS = re.compile(r"(?:^|[._-])(?:headers?|(?:rpc|grpc)\.(?:request|response)\.metadata)(?:$|\.)", re.I)
"""The part of a name that says that headers follow: their names, or, at the end of it, all of them in the value."""
_ADDRESS = re.compile(r"[a-z][a-z0-9+.:-]{0,60}//\S*", re.I)
_PARTS = {**dict.fromkeys(("url.path", "url.original", "http.target"), ("path", "")), "url.query": ("query", "")}
"""Attributes that hold a part of an address."""
_LONGEST_REMEMBERED = 128
_KEYS = frozenset(
    {
        *("api-key", "apikey", "authorization", "connection-string", "cookie", "credential", "credentials"),
        *("password", "passwd", "private-key", "secret", "secret-key", "access-token", "auth-token", "token"),
    }
)
"""Last parts of names whose values are secrets."""


def attributes_without_secrets(attributes: Attributes, harmless: HarmlessNames) -> Attributes:
    """The same attributes with `[redacted]` in place of what may be secret."""
    return {
        name: value if isinstance(value, int | float) else _without_secrets(name, value, harmless)
        for name, value in attributes.items()
    }


def _without_secrets(name: str, value: Any, harmless: HarmlessNames) -> Any:
    kind = _kind(name) if len(name) <= _LONGEST_REMEMBERED else _kind.__wrapped__(name)
    if kind is not None:
        return _of_kind(kind, value, harmless)
    if isinstance(value, str):
        return _text(name, value, harmless)
    if isinstance(value, dict):
        return attributes_without_secrets(value, harmless)
    if isinstance(value, list):
        return [_without_secrets(name, each, harmless) for each in value]
    return value


@lru_cache(maxsize=4096)
def _kind(name: str) -> tuple[str, str] | None:
    """What an attribute of this name holds, and of which header; None if only its value can tell."""
    if found := _HEADERS.search(name):
        header = name[found.end() :]
        return ("header" if header else "headers"), header
    if normalized(name.rpartition(".")[2]) in _KEYS:
        return "key", ""
    return _PARTS.get(name)


def _of_kind(kind: tuple[str, str], value: Any, harmless: HarmlessNames) -> Any:
    match kind:
        case "headers", _:
            return headers_without_secrets(value, harmless)
        case "header", header:
            (kept,) = (headers_without_secrets({header: value}, harmless) or {}).values()
            return kept
        case "path", _ if isinstance(value, str):
            return url_without_secrets(value, harmless)
        case "query", _ if isinstance(value, str):
            return (url_without_secrets(f"?{value}", harmless) or "").removeprefix("?")
        case _:
            return REDACTED


def _text(name: str, text: str, harmless: HarmlessNames) -> Any:
    if "//" in text and _ADDRESS.fullmatch(text):
        return url_without_secrets(text, harmless)
    if isinstance(inner := value_in_text(text), dict | list):
        kept = _without_secrets(name, inner, harmless)
        return text if kept == inner else dump(kept).decode()
    return text

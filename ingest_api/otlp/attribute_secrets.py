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
from ingest_api.validation.text_redaction import is_secret_name, may_tell_secret, text_without_secrets, words_of
from runtime.harmless_names import HarmlessNames
from runtime.url_redaction import REDACTED, url_without_secrets

_HEADERS = re.compile(r"(?:^|[._-])(?:headers?|(?:rpc|grpc)\.(?:request|response)\.metadata)(?:$|[.[_-][\"']?)")
"""The part of a name that says that headers follow: their names, or, at the end of it, all of them in the value."""
_QUERY = re.compile(
    r"(?:^|[._-])(?:(?:url|http|extra|default)[.-](?:query|params)|query-?(?:string|params)|search-params)$"
)
_PATH = re.compile(r"(?:^|[._-])(?:url|uri|http|request)[.-](?:path|target|original|uri)$")
"""Ends of names of attributes that hold a part of an address."""
_COMMANDS = ("process.command", "process.environment", "container.command")
"""Beginnings of names whose values hold the options of a program, or its environment."""
_LONGEST_REMEMBERED = 128


def attributes_without_secrets(attributes: Attributes, harmless: HarmlessNames) -> Attributes:
    """The same attributes with `[redacted]` in place of what may be secret."""
    return {name: _without_secrets(name, value, harmless) for name, value in attributes.items()}


def _without_secrets(name: str, value: Any, harmless: HarmlessNames) -> Any:
    kind = _kind(name) if len(name) <= _LONGEST_REMEMBERED else _kind.__wrapped__(name)
    if kind is not None:
        return _of_kind(kind, value, harmless)
    if isinstance(value, str):
        return _text(name, value, harmless) if may_tell_secret(value) else value
    if isinstance(value, dict):
        return attributes_without_secrets(value, harmless)
    if isinstance(value, list):
        return [_without_secrets(name, each, harmless) for each in value]
    return value


@lru_cache(maxsize=4096)
def _kind(name: str) -> tuple[str, str] | None:
    """What an attribute of this name holds, and of which header; None if only its value can tell."""
    words = words_of(name)
    if found := _HEADERS.search(words):
        header = words[found.end() :].rstrip("]\"'")
        return ("header" if header else "headers"), header
    if words.startswith(_COMMANDS) or is_secret_name(words):
        return ("number" if words.endswith("token") else "secret"), ""
    if _PATH.search(words):
        return "path", ""
    return ("query", "") if _QUERY.search(words) else None


def _of_kind(kind: tuple[str, str], value: Any, harmless: HarmlessNames) -> Any:
    match kind:
        case "headers", _:
            return headers_without_secrets(value, harmless)
        case "header", header:
            (kept,) = (headers_without_secrets({header: value}, harmless) or {}).values()
            return kept
        case "path", _ if isinstance(value, str):
            return url_without_secrets(value, harmless)
        case "query", _:
            return _query(value, harmless)
        case "number", _ if isinstance(value, int | float):
            return value
        case _:
            return None if value is None else REDACTED


def _query(value: Any, harmless: HarmlessNames) -> Any:
    """The parameters of an address, as the text of a query or as names with values."""
    if isinstance(value, str) and not isinstance(inner := value_in_text(value), dict | list):
        return (url_without_secrets(f"?{value.removeprefix('?')}", harmless) or "").removeprefix("?")
    value = inner if isinstance(value, str) else value
    if isinstance(value, dict):
        return {name: held if harmless.has_parameter(name) else REDACTED for name, held in value.items()}
    return REDACTED


def _text(name: str, text: str, harmless: HarmlessNames) -> Any:
    if isinstance(inner := value_in_text(text), dict | list):
        kept = _without_secrets(name, inner, harmless)
        return text if kept == inner else dump(kept).decode()
    return text_without_secrets(text, harmless)

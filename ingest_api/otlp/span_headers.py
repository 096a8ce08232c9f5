"""Headers and addresses in the attributes of a span, without what may be secret in them. Pure."""

from functools import lru_cache
from typing import Any

from ingest_api.otlp.attribute_names import URL, take_text
from ingest_api.otlp.telemetry_data import Attributes
from ingest_api.validation.redaction import headers_without_secrets
from runtime.harmless_names import HarmlessNames
from runtime.url_redaction import url_without_secrets

_REQUEST = ("http.request.header.", "ai.request.headers.")
_RESPONSE = ("http.response.header.", "ai.response.headers.")
_BOTH = _REQUEST + _RESPONSE
_MOST_PORT_CHARS = 6
_MOST_REMEMBERED_CHARS = 255
"""A host has no more; what is remembered stays in memory."""


def take_headers(
    attributes: Attributes, harmless: HarmlessNames
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The headers of request and response, taken out of the attributes; None where there are none."""
    names = [name for name in attributes if name.startswith(_BOTH)]
    if not names:
        return None, None
    return _taken(attributes, names, _REQUEST, harmless), _taken(attributes, names, _RESPONSE, harmless)


def _taken(
    attributes: Attributes, names: list[str], prefixes: tuple[str, ...], harmless: HarmlessNames
) -> dict[str, Any] | None:
    found = {
        name[len(prefix) :]: _one(attributes.pop(name))
        for prefix in prefixes
        for name in names
        if name.startswith(prefix)
    }
    return headers_without_secrets(found, harmless) if found else None


def _one(value: Any) -> Any:
    """The value of a header, which conventions have as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def take_url(attributes: Attributes, harmless: HarmlessNames) -> str | None:
    """The address that was called, taken out of the attributes.

    A span that has no whole address may name the server: then it is the server's, without a scheme.
    """
    if url := take_text(attributes, URL):
        return url_without_secrets(url, harmless)
    if not (server := take_text(attributes, ("server.address",))):
        return None
    port = attributes.pop("server.port", "")
    remembered = _server if len(server) <= _MOST_REMEMBERED_CHARS else _server.__wrapped__
    return remembered(server, str(port)[:_MOST_PORT_CHARS])


@lru_cache(maxsize=1024)
def _server(server: str, port: str) -> str | None:
    """The address of a server; without parameters, no name in it is harmless or not."""
    host = f"[{server}]" if ":" in server and not server.startswith("[") else server
    return url_without_secrets(f"//{host}:{port}" if port else f"//{host}", HarmlessNames())
